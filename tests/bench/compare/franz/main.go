// Copies one topic from a source to a target cluster with franz-go, tuned for throughput: what an engineer would write
// in an afternoon. Offsets, settings and failures are left to the client's defaults.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func codec(name string) kgo.CompressionCodec {
	switch name {
	case "zstd":
		return kgo.ZstdCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "snappy":
		return kgo.SnappyCompression()
	case "gzip":
		return kgo.GzipCompression()
	}
	return kgo.NoCompression()
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: franz SOURCE TARGET TOPIC TARGET_TOPIC CODEC")
	}
	source, target, topic, targetTopic := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()

	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(source),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(32<<20),
		kgo.FetchMaxPartitionBytes(8<<20),
		kgo.FetchMaxWait(100*time.Millisecond),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(target),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec(os.Args[5])),
		kgo.ProducerBatchMaxBytes(1_048_576),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.MaxBufferedRecords(200_000),
		kgo.MaxBufferedBytes(64<<20),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()

	for ctx.Err() == nil {
		fetches := consumer.PollFetches(ctx)
		fetches.EachError(func(topic string, partition int32, err error) {
			if ctx.Err() == nil {
				log.Fatalf("%s-%d: %v", topic, partition, err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			copied := &kgo.Record{
				Topic: targetTopic, Partition: record.Partition, Key: record.Key, Value: record.Value,
				Headers: record.Headers, Timestamp: record.Timestamp,
			}
			producer.Produce(ctx, copied, func(_ *kgo.Record, err error) {
				if err != nil && ctx.Err() == nil {
					log.Fatal(err)
				}
			})
		})
	}
}
