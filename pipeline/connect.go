package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/sinks"
)

// Connected holds the connection to Kafka that every command begins with.
type Connected struct {
	Broker     *embedded.Broker // nil when brokers are named
	Connection *kafka.Connection
	Client     *kafka.Client
	Topics     kafka.Topics
	Partitions map[string]int
}

// Dial reaches the brokers that are named, or the embedded one of the data
// folder, and makes the topics that are absent.
func Dial(ctx context.Context, c *Config, log *slog.Logger) (*Connected, error) {
	return dial(ctx, c, log, func(d *Connected) (err error) {
		d.Partitions, err = d.Topics.Ensure(ctx, d.Client, c.Partitions)
		return err
	})
}

// Attach is Dial for those who only read: topics that are absent stay so and
// have no partitions, and a data folder without a broker is refused.
func Attach(ctx context.Context, c *Config, log *slog.Logger) (*Connected, error) {
	if len(c.Brokers) == 0 && !embedded.Exists(c.Data) {
		return nil, fmt.Errorf("no broker is named, and none has run in the folder %s; name brokers with --brokers, or the folder of a run with --data", c.Data)
	}
	return dial(ctx, c, log, func(d *Connected) (err error) {
		d.Partitions, err = kafka.PartitionCounts(ctx, d.Client, append(d.Topics.All(), d.Topics.Trials))
		return err
	})
}

func dial(ctx context.Context, c *Config, log *slog.Logger, topics func(*Connected) error) (_ *Connected, err error) {
	d := &Connected{Topics: kafka.TopicsOf(c.TopicPrefix), Connection: c.Connection()}
	d.Connection.Topics = append(d.Topics.All(), d.Topics.Trials)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if len(c.Brokers) == 0 {
		at, err := c.brokerAt()
		if err != nil {
			return nil, err
		}
		if d.Broker, err = embedded.Open(ctx, c.Data, at); err != nil {
			return nil, err
		}
		d.Connection.Brokers = []string{d.Broker.Address}
	}
	d.Client, err = d.Connection.Connect(ctx, func(err error) { log.Warn("waiting for Kafka", "error", err) })
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for wait := kafka.NewBackoff(); ; {
		// A broker that answers and then goes away is waited for as well.
		if err = topics(d); err == nil {
			return d, nil
		}
		gathering := errors.Is(err, kafkago.InvalidReplicationFactor) && time.Since(began) < gatheringFor
		if !sinks.Recoverable(err) && !gathering {
			return nil, err
		}
		log.Warn("waiting for Kafka", "error", err)
		if wait.Wait(ctx) != nil {
			return nil, err
		}
	}
}

// gatheringFor is how long a cluster may have fewer brokers than a topic has replicas:
// those that start with it come one after the other.
const gatheringFor = time.Minute

// Close gives back what Dial opened.
func (d *Connected) Close() error {
	if d.Broker == nil {
		return nil
	}
	return d.Broker.Close()
}
