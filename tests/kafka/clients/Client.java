// Kafka's own Java client as a workload and as a reader. Started as a single source file:
//   java -cp 'JARS/*' Client.java write BOOTSTRAP TOPIC PARTITIONS RECORDS
//   java -cp 'JARS/*' Client.java read BOOTSTRAP TOPIC
// `write` sends RECORDS records per codec, guard and batch size; every third transaction is aborted.
// `read` prints how many records a consumer that reads only what was committed gets.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Client {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final String[] GUARDS = {"plain", "idempotent", "transactional"};
    private static final int[] BATCH_SIZES = {200, 16384};
    private static final int PER_TRANSACTION = 10;

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "write" -> writeAll(arguments[1], arguments[2], Integer.parseInt(arguments[3]), Integer.parseInt(arguments[4]));
            case "read" -> read(arguments[1], arguments[2]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void writeAll(String bootstrap, String topic, int partitions, int records) throws Exception {
        for (String guard : GUARDS) {
            for (String codec : CODECS) {
                for (int size : BATCH_SIZES) {
                    write(bootstrap, topic, partitions, records, guard, codec, size);
                }
            }
        }
    }

    private static void write(
            String bootstrap, String topic, int partitions, int records, String guard, String codec, int size)
            throws Exception {
        String name = "java-" + guard + "-" + codec + "-" + size;
        boolean isTransactional = guard.equals("transactional");
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("compression.type", codec);
        properties.put("batch.size", size);
        properties.put("linger.ms", size < 1000 ? 0 : 20);
        properties.put("enable.idempotence", !guard.equals("plain"));
        properties.put("acks", "all");
        if (isTransactional) {
            properties.put("transactional.id", topic + "-" + name);
        }
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            if (isTransactional) {
                producer.initTransactions();
            }
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = 0; number < records; number++) {
                if (isTransactional && number % PER_TRANSACTION == 0) {
                    producer.beginTransaction();
                }
                sent.add(producer.send(record(topic, number % partitions, name, number)));
                if (isTransactional && (number + 1) % PER_TRANSACTION == 0) {
                    producer.flush();
                    if ((number + 1) / PER_TRANSACTION % 3 == 0) {
                        producer.abortTransaction();
                    } else {
                        producer.commitTransaction();
                    }
                }
            }
            for (Future<RecordMetadata> future : sent) {
                future.get();
            }
        }
    }

    /** With and without key, value and headers, empty ones, duplicate header names. Each says who it is. */
    private static ProducerRecord<byte[], byte[]> record(String topic, int partition, String name, int number) {
        byte[] identity = bytes("cw!" + topic + "/" + partition + "/" + name + "/" + number + "!");
        byte[] value = bytes(new String(identity, StandardCharsets.UTF_8) + "value of java ".repeat(number % 30));
        RecordHeaders headers = new RecordHeaders();
        byte[] key = bytes("key-" + number % 5);
        switch (number % 7) {
            case 0 -> key = null;
            case 1 -> {
                key = identity;
                value = null;
            }
            case 2 -> {
                key = identity;
                value = new byte[0];
            }
            case 3 -> headers.add("a", bytes("1")).add("b", null).add("a", new byte[0]).add("a", null);
            case 4 -> key = new byte[0];
            case 5 -> headers.add("", new byte[] {0, (byte) 255, (byte) 254});
            default -> { }
        }
        long age = number % 11 == 0 ? Duration.ofDays(3).toMillis() : 0;
        return new ProducerRecord<>(topic, partition, System.currentTimeMillis() - age, key, value, headers);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void read(String bootstrap, String topic) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", "read_committed");
        properties.put("check.crcs", true);
        properties.put("auto.offset.reset", "none");
        long count = 0;
        try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                count += consumer.poll(Duration.ofSeconds(1)).count();
            }
        }
        System.out.println("READ " + count);
    }
}
