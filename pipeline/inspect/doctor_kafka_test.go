package inspect

import (
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
)

// TestDoctorOnKafka: an Apache Kafka with every fault that doctor looks for. It allows
// short transactions only, sends the clients of one listener to an address where nobody
// listens, and its topics cannot take archflow's messages.
func TestDoctorOnKafka(t *testing.T) {
	nobody := kafkatest.FreeAddress(t)
	astray := kafkatest.FreeAddress(t)
	server := kafkatest.With(t,
		"listeners=,ASTRAY://"+astray, "advertised.listeners=,ASTRAY://"+nobody,
		"listener.security.protocol.map=,ASTRAY:PLAINTEXT", "inter.broker.listener.name=PLAINTEXT", "transaction.max.timeout.ms=20000")
	c := settings(t)
	c.Brokers = []string{server.Address}
	topics := kafka.TopicsOf(c.TopicPrefix)
	with := func(name, value string) []kafkago.ConfigEntry {
		return []kafkago.ConfigEntry{{ConfigName: name, ConfigValue: value}}
	}
	if _, err := kafka.EnsureTopics(t.Context(), kafkatest.Client(t, server.Address), []kafkago.TopicConfig{
		{Topic: topics.Architectures, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: with("cleanup.policy", "compact")},
		{Topic: topics.Labels, NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: with("retention.ms", "60000")},
		{Topic: topics.Predictions, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: with("min.insync.replicas", "2")},
		{Topic: topics.DeadLetters, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: with("max.message.bytes", "500")},
		{Topic: topics.Models, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: with("cleanup.policy", "compact")},
	}); err != nil {
		t.Fatal(err)
	}
	found := examine(t, c)
	for check, want := range map[string]struct{ status, says, cure string }{
		"topic " + topics.Architectures: {FindingFail, "without a key are refused", "cleanup.policy=delete"},
		"topic " + topics.Labels:        {FindingWarn, "1m0s only", "retention.ms"},
		"topic " + topics.Predictions:   {FindingWarn, "min.insync.replicas is 2", "min.insync.replicas"},
		"topic " + topics.DeadLetters:   {FindingFail, "500 bytes", "max.message.bytes"},
		"topic " + topics.Models:        {FindingFail, "2 partitions", "one partition"},
		"transactions of " + c.Group:    {FindingFail, "no transaction of 30s", "transaction.max.timeout.ms of the brokers to 30000"},
		"advertised":                    {FindingOK, server.Address, ""},
	} {
		if f := found[check]; f.Status != want.status || !strings.Contains(f.Found, want.says) || !strings.Contains(f.Cure, want.cure) {
			t.Errorf("%s: %+v", check, f)
		}
	}
	c.Brokers = []string{astray}
	if f := advertisedBy(t, c); f.Status != FindingFail || !strings.Contains(f.Found, nobody) || !strings.Contains(f.Cure, "advertised.listeners") {
		t.Errorf("%+v", f)
	}
}

// TestDoctorStrangers: another program is a member of the group, so that some candidates
// are its own.
func TestDoctorStrangers(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		c := settings(t)
		c.Brokers, c.Group = []string{address}, topic
		kafkatest.Topics(t, kafkatest.Client(t, address), 1, topic)
		group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{ID: c.Group, Brokers: c.Brokers, Topics: []string{topic}, Dialer: &kafkago.Dialer{ClientID: "console"}})
		if err != nil {
			t.Fatal(err)
		}
		defer group.Close()
		kafkatest.Eventually(t, "another program is a member", func() bool {
			_, err := group.Next(t.Context())
			return err == nil
		})
		f := examine(t, c)["group "+c.Group]
		if f.Status != FindingWarn || !strings.Contains(f.Found, "console") || !strings.Contains(f.Cure, "--group") {
			t.Errorf("%+v", f)
		}
	})
}
