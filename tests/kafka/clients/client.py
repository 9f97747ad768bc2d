"""confluent-kafka as a workload and as a reader.

    client.py write BOOTSTRAP TOPIC PARTITIONS RECORDS
    client.py read BOOTSTRAP TOPIC

`write` sends RECORDS records per codec, guard and batch size; every third transaction is aborted.
`read` prints how many records a consumer that reads only what was committed gets.
"""

import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
GUARDS = ["plain", "idempotent", "transactional"]
BATCH_RECORDS = [1, 10_000]
PER_TRANSACTION = 10


def record(topic, partition, name, number):
    """With and without key, value and headers, empty ones, duplicate header names. Each says who it is."""
    identity = f"cw!{topic}/{partition}/{name}/{number}!".encode()
    plain = {"key": f"key-{number % 5}".encode(), "value": identity + b"value of python " * (number % 30)}
    shapes = [
        plain | {"key": None},
        {"key": identity, "value": None},
        {"key": identity, "value": b""},
        plain | {"headers": [("a", b"1"), ("b", None), ("a", b""), ("a", None)]},
        plain | {"key": b""},
        plain | {"headers": [("h", b"\x00\xff\xfe")]},
        plain,
    ]
    return shapes[number % len(shapes)]


def write(bootstrap, topic, partitions, records, guard, codec, batch_records):
    name = f"python-{guard}-{codec}-{batch_records}"
    is_transactional = guard == "transactional"
    config = {
        "bootstrap.servers": bootstrap,
        "compression.type": codec,
        "batch.num.messages": batch_records,
        "linger.ms": 5,
        "enable.idempotence": guard != "plain",
        "acks": "all",
    }
    if is_transactional:
        config["transactional.id"] = f"{topic}-{name}"
    failed = []
    producer = Producer(config)
    if is_transactional:
        producer.init_transactions()
    for number in range(records):
        if is_transactional and number % PER_TRANSACTION == 0:
            producer.begin_transaction()
        partition = number % partitions
        age = 3 * 86_400_000 if number % 11 == 0 else 0
        producer.produce(
            topic,
            partition=partition,
            timestamp=int(time.time() * 1000) - age,
            on_delivery=lambda error, _: failed.append(error) if error else None,
            **record(topic, partition, name, number),
        )
        if is_transactional and (number + 1) % PER_TRANSACTION == 0:
            producer.flush()
            if (number + 1) // PER_TRANSACTION % 3 == 0:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    if producer.flush(60) or failed:
        sys.exit(f"{name}: not delivered: {failed}")


def read(bootstrap, topic):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "causeway-clients",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "check.crcs": True,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    open_partitions = set(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in open_partitions])
    count = 0
    while open_partitions:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            count += 1
        elif message.error().code() == KafkaError._PARTITION_EOF:
            open_partitions.discard(message.partition())
        else:
            sys.exit(f"reading {topic}: {message.error()}")
    print("READ", count)


def main(verb, bootstrap, topic, partitions="1", records="0"):
    if verb == "read":
        return read(bootstrap, topic)
    for guard in GUARDS:
        for codec in CODECS:
            for batch_records in BATCH_RECORDS:
                write(bootstrap, topic, int(partitions), int(records), guard, codec, batch_records)


main(*sys.argv[1:])
