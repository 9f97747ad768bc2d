"""What an ordinary Python client does, against whichever broker: exits with 0 if everything was as it should be.

Usage: workload.py BOOTSTRAP
"""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

BOOTSTRAP = sys.argv[1]
LIMIT = 30
COMMON = {"bootstrap.servers": BOOTSTRAP}
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
complaints = []


def complain(error):
    # A connection that ends with its client is no complaint.
    if error.code() != -195:
        complaints.append(str(error))


def check(is_so, what):
    if not is_so:
        raise SystemExit(f"{what}; complaints: {complaints}")
    print("ok:", what, flush=True)


def producer(**more):
    return Producer({**COMMON, "enable.idempotence": True, "error_cb": complain, **more})


def consumer(group, topic, **more):
    settings = {
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 300,
        "error_cb": complain,
    }
    made = Consumer({**COMMON, **settings, **more})
    made.subscribe([topic])
    return made


def read(readers, count):
    found, end = [], time.monotonic() + LIMIT
    while len(found) < count and time.monotonic() < end:
        for reader in readers:
            message = reader.poll(0.05)
            if message is None:
                continue
            check_error(message)
            found.append((message.partition(), message.offset(), message.value()))
    return found


def check_error(message):
    if message.error():
        raise SystemExit(f"a consumer's error: {message.error()}")


def make_topics(admin):
    topics = [NewTopic(name, num_partitions=4, replication_factor=1) for name in ("plain", "moved")]
    topics.append(NewTopic("latest", num_partitions=1, replication_factor=1, config={"cleanup.policy": "compact"}))
    for future in admin.create_topics(topics).values():
        future.result(LIMIT)
    time.sleep(1)
    resource = ConfigResource(ResourceType.TOPIC, "latest")
    configs = list(admin.describe_configs([resource]).values())[0].result(LIMIT)
    check(configs["cleanup.policy"].value == "compact", "topics are created with their settings")
    listed = admin.list_topics(timeout=LIMIT)
    check(len(listed.topics["plain"].partitions) == 4, "topics are listed with their partitions")


def idempotent():
    for codec in CODECS:
        writer = producer(**{"compression.type": codec, "linger.ms": 5})
        for number in range(2_000):
            writer.produce("plain", key=str(number), value=f"{codec}-{number}")
            writer.poll(0)
        check(writer.flush(LIMIT) == 0, f"an idempotent producer writes {codec}")
    reader = consumer("readers", "plain", **{"check.crcs": True})
    found = read([reader], 10_000)
    values = {value for _, _, value in found}
    check(len(found) == 10_000 and len(values) == 10_000, "everything is read once")
    reader.commit(asynchronous=False)
    reader.close()


def transactional():
    writer = producer(**{"transactional.id": "python"})
    writer.init_transactions(LIMIT)
    reader = consumer("movers", "plain", **{"isolation.level": "read_committed"})
    seen = 0
    for turn in range(6):
        batch = read([reader], 100)
        writer.begin_transaction()
        for partition, offset, value in batch:
            writer.produce("moved", value=f"{partition}-{offset}-{turn}".encode(), partition=partition)
        positions = reader.position(reader.assignment())
        writer.send_offsets_to_transaction([p for p in positions if p.offset >= 0], reader.consumer_group_metadata())
        if turn % 3 == 2:
            writer.flush(LIMIT)
            writer.abort_transaction(LIMIT)
            for committed in reader.committed(reader.assignment(), LIMIT):
                reader.seek(TopicPartition(committed.topic, committed.partition, max(committed.offset, 0)))
        else:
            writer.commit_transaction(LIMIT)
            seen += len(batch)
    copies = consumer("copies", "moved", **{"isolation.level": "read_committed"})
    found = read([copies], seen)
    extra = copies.poll(1)
    origins = {value.rsplit(b"-", 1)[0] for _, _, value in found}
    check(len(found) == seen and extra is None, "committed copies are read, aborted ones are not")
    check(len(origins) == seen, "nothing is moved twice")
    check(not any(value.endswith((b"-2", b"-5")) for _, _, value in found), "no aborted transaction shows")
    total = sum(max(one.offset, 0) for one in reader.committed(reader.assignment(), LIMIT))
    check(total == seen, "offsets moved with the transactions")
    reader.close()
    copies.close()
    fenced = producer(**{"transactional.id": "python"})
    fenced.init_transactions(LIMIT)
    try:
        writer.begin_transaction()
        writer.produce("moved", value=b"late")
        writer.commit_transaction(LIMIT)
        check(False, "the former holder is fenced")
    except KafkaException as error:
        check(error.args[0].fatal() or error.args[0].txn_requires_abort(), "the former holder is fenced")


def groups(admin):
    for strategy in ("range", "cooperative-sticky"):
        settings = {"partition.assignment.strategy": strategy}
        readers = [consumer(f"group-{strategy}", "plain", **settings) for _ in range(3)]
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            for reader in readers:
                message = reader.poll(0.05)
                if message is not None:
                    check_error(message)
            owned = [{one.partition for one in reader.assignment()} for reader in readers]
            if all(owned) and sum(map(len, owned)) == 4:
                break
        check(sum(map(len, owned)) == 4 and len(set().union(*owned)) == 4, f"three members share by {strategy}")
        described = admin.describe_consumer_groups([f"group-{strategy}"])[f"group-{strategy}"].result(LIMIT)
        check(len(described.members) == 3, f"the group by {strategy} is described")
        for reader in readers:
            reader.close()
    names = {one.group_id for one in admin.list_consumer_groups().result(LIMIT).valid}
    check({"readers", "movers", "group-range"} <= names, "groups are listed")
    admin.delete_consumer_groups(["group-range"])["group-range"].result(LIMIT)
    names = {one.group_id for one in admin.list_consumer_groups().result(LIMIT).valid}
    check("group-range" not in names, "a group is deleted")


def main():
    admin = AdminClient(COMMON)
    make_topics(admin)
    idempotent()
    transactional()
    groups(admin)
    # The fenced producer's complaint is wanted.
    unwanted = [one for one in complaints if "fenced" not in one.lower() and "newer" not in one.lower()]
    check(not unwanted, f"nobody complains {unwanted}")


main()
