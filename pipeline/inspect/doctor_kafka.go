package inspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/pipeline"
	"archflow/schemas"
	"archflow/sinks"
)

const (
	clockSkew = 2 * time.Second
	shortLife = 24 * time.Hour // a retention below this is worth a word
)

// needed are the requests that exactly-once delivery uses, by their number.
var needed = map[int]string{0: "Produce", 1: "Fetch", 11: "JoinGroup", 22: "InitProducerId", 24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn", 28: "TxnOffsetCommit"}

// broker reaches every broker that is named; nil when none answers.
func (e *examination) broker(ctx context.Context) *kafka.Client {
	const check = "broker"
	c, inside := e.config.Connection(), ""
	if len(c.Brokers) == 0 {
		address, err := embedded.Address(e.config.Data)
		if err == nil {
			c.Brokers = []string{address}
			err = c.Probe(ctx, address)
		}
		if err != nil {
			e.warn(check, "start archflow run, or name brokers with --brokers", "no broker is named, and no process runs the embedded one of %s", e.config.Data)
			return nil
		}
		inside = ", the broker inside the archflow of " + e.config.Data + ", which any Kafka client can use,"
	}
	client, err := c.Client()
	if err != nil {
		e.fail(check, "correct the settings of TLS and SASL", "%v", err)
		return nil
	}
	reached := 0
	var advertised []string
	for _, address := range c.Brokers {
		began := time.Now()
		var refused *kafka.ConnectError
		if err := c.Probe(ctx, address); errors.As(err, &refused) {
			e.fail(check, "correct --brokers, or start the broker; a run needs one that answers", "%v", err)
			continue
		}
		reached++
		advertised = append(advertised, c.Advertised()...)
		e.ok(check, "%s%s answers in %v", address, inside, time.Since(began).Round(100*time.Microsecond))
	}
	if reached == 0 {
		return nil
	}
	e.advertised(ctx, c, advertised)
	e.versions(ctx, client)
	return client
}

// advertised reaches the brokers that the cluster names to its clients, which is
// where they go after the first request.
func (e *examination) advertised(ctx context.Context, c *kafka.Connection, addresses []string) {
	const check = "advertised"
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	reached := 0
	for _, address := range addresses {
		if err := c.Probe(ctx, address); err != nil {
			e.fail(check, "set advertised.listeners of that broker to an address that this machine reaches, or open the way to it: names, routes, firewall",
				"the cluster sends its clients to %s: %v", address, err)
			continue
		}
		reached++
	}
	if reached == len(addresses) {
		e.ok(check, "the brokers that the cluster names answer: %s", strings.Join(addresses, ", "))
	}
}

// versions looks at the requests that the broker knows.
func (e *examination) versions(ctx context.Context, client *kafka.Client) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	can, err := client.ApiVersions(ctx, &kafkago.ApiVersionsRequest{Addr: client.Addr})
	if err == nil {
		err = can.Error
	}
	if err != nil {
		e.fail("versions", "is it Kafka 2.5 or newer?", "the broker does not say what it can do: %v", err)
		return
	}
	newest := map[int]int{}
	for _, k := range can.ApiKeys {
		newest[k.ApiKey] = k.MaxVersion
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(needed)) {
		if _, ok := newest[key]; !ok {
			missing = append(missing, needed[key])
		}
	}
	if len(missing) > 0 {
		e.fail("versions", "use Apache Kafka 2.5 or newer, or --delivery low-latency where only transactions are missing", "the broker cannot %s", strings.Join(missing, ", "))
	} else {
		e.ok("versions", "Produce to v%d, Fetch to v%d, transactions", newest[0], newest[1])
	}
}

// topics looks at the settings of each topic and returns their partitions; nil
// when the broker does not say.
func (e *examination) topics(ctx context.Context, client *kafka.Client, topics kafka.Topics) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	have, err := kafka.PartitionCounts(ctx, client, topics.All())
	if err != nil {
		e.fail("topics", "grant DESCRIBE on the topics to this user", "%v", err)
		return nil
	}
	rights, err := kafka.TopicRights(ctx, client, topics.All())
	if err != nil {
		e.warn("topics", "look at the ACLs by hand: docs/security.md lists them", "the rights of this user are not known: %v", err)
	}
	e.absent(ctx, client, topics, have, rights)
	replicas, err := kafka.ReplicaCounts(ctx, client, topics.All())
	if err != nil {
		e.warn("topics", "look at the replicas by hand: kafka-topics.sh --describe", "%v", err)
	}
	needs := topicNeeds(topics, e.config.Role)
	for _, topic := range topics.All() {
		check := "topic " + topic
		if has, known := rights[topic]; known {
			if missing := lacking(needs[topic], has); missing != "" {
				e.fail(check, fmt.Sprintf("kafka-acls.sh --add --allow-principal User:NAME --operation %s --topic %s", strings.ReplaceAll(missing, ", ", " --operation "), topic),
					"this user has no right to it: %s", missing)
				continue
			}
		}
		if have[topic] == 0 {
			continue
		}
		if topic == topics.Models && have[topic] != 1 {
			e.fail(check, "make it anew with one partition: the order of models counts", "it has %d partitions", have[topic])
			continue
		}
		settings, err := topicSettings(ctx, client, topic)
		if err != nil {
			e.warn(check, "grant DESCRIBE_CONFIGS to this user to have them checked", "%d partitions; its settings are not known: %v", have[topic], err)
			continue
		}
		if !e.writable(check, topic, topics, replicas[topic], settings) {
			continue
		}
		e.settings(check, topic, topics, have[topic], settings)
	}
	return have
}

// absent says of topics that are not there whether the first run can make them.
func (e *examination) absent(ctx context.Context, client *kafka.Client, topics kafka.Topics, have map[string]int, rights map[string]kafka.Rights) {
	var names []string
	for _, topic := range topics.All() {
		if _, there := rights[topic]; !there && have[topic] == 0 {
			names = append(names, topic)
		}
	}
	if len(names) == 0 {
		return
	}
	refused, err := topics.ProbeCreate(ctx, client, e.config.Partitions, names)
	for _, topic := range names {
		check := "topic " + topic
		switch {
		case err != nil:
			e.warn(check, "the first run makes it, where the broker allows that", "it is not there: %v", err)
		case refused[topic] != nil:
			e.fail(check, "create the topics by hand, or grant CREATE to this user", "%v", refused[topic])
		default:
			e.warn(check, "nothing to do: the first run makes it", "it is not there")
		}
	}
}

// topicNeeds lists the rights that a role needs on each topic. Answers and dead letters
// are read where a group's offset was moved, to find the last answered message.
func topicNeeds(topics kafka.Topics, role string) map[string]kafka.Rights {
	return map[string]kafka.Rights{
		topics.Architectures: {Describe: true, Read: true},
		topics.Labels:        {Describe: true, Read: role != pipeline.RoleWorker},
		topics.Predictions:   {Describe: true, Read: true, Write: role != pipeline.RoleTrainer},
		topics.DeadLetters:   {Describe: true, Read: true, Write: true},
		topics.Models:        {Describe: true, Read: true, Write: role != pipeline.RoleWorker},
	}
}

// lacking names the rights that are needed and not there, "" for none.
func lacking(need, has kafka.Rights) string {
	var names []string
	for _, right := range []struct {
		name      string
		need, has bool
	}{{"DESCRIBE", need.Describe, has.Describe}, {"READ", need.Read, has.Read}, {"WRITE", need.Write, has.Write}} {
		if right.need && !right.has {
			names = append(names, right.name)
		}
	}
	return strings.Join(names, ", ")
}

func topicSettings(ctx context.Context, client *kafka.Client, topic string) (map[string]string, error) {
	answer, err := client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Addr: client.Addr, Resources: []kafkago.DescribeConfigRequestResource{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic,
		ConfigNames: []string{"cleanup.policy", "retention.ms", "max.message.bytes", "min.insync.replicas"},
	}}})
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, r := range answer.Resources {
		if r.Error != nil {
			return nil, r.Error
		}
		for _, entry := range r.ConfigEntries {
			settings[entry.ConfigName] = entry.ConfigValue
		}
	}
	return settings, nil
}

// minMessageBytes is the length up to which a decision of the trainer, or a dead letter
// that was cut, may grow.
const minMessageBytes = 8 << 10

// writable checks whether a topic takes archflow's messages.
func (e *examination) writable(check, topic string, topics kafka.Topics, replicas int, settings map[string]string) bool {
	if least, err := strconv.Atoi(settings["min.insync.replicas"]); err == nil && replicas > 0 && least > replicas {
		e.warn(check, fmt.Sprintf("give it more replicas, or kafka-configs.sh --alter --topic %s --add-config min.insync.replicas=%d", topic, replicas),
			"min.insync.replicas is %d, and a partition has %d: many brokers take nothing that is written to it", least, replicas)
		return false
	}
	most, err := strconv.Atoi(settings["max.message.bytes"])
	if written := topic == topics.Predictions || topic == topics.DeadLetters || topic == topics.Models; err == nil && written && most < minMessageBytes {
		e.fail(check, fmt.Sprintf("kafka-configs.sh --alter --topic %s --add-config max.message.bytes=1048588", topic),
			"it takes messages of %d bytes only, and what is written to it has up to %d and more", most, minMessageBytes)
		return false
	}
	return true
}

// settings judges those of one topic.
func (e *examination) settings(check, topic string, topics kafka.Topics, partitions int, settings map[string]string) {
	policy := settings["cleanup.policy"]
	compacted := strings.Contains(policy, "compact")
	keeps := "for ever"
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	retention := time.Duration(ms) * time.Millisecond
	if err == nil && ms >= 0 {
		keeps = "for " + retention.String()
		if retention < shortLife && policy != "compact" && topic != topics.Models {
			e.warn(check, fmt.Sprintf("raise it: kafka-configs.sh --alter --topic %s --add-config retention.ms=604800000", topic), "it keeps messages %s only: a process that is away for longer misses them", keeps)
			return
		}
	}
	switch {
	case topic == topics.Models && !compacted:
		e.warn(check, "kafka-configs.sh --alter --topic "+topic+" --add-config cleanup.policy=compact", "it is not compacted: it grows with every model")
	case compacted && (topic == topics.Predictions || topic == topics.DeadLetters):
		e.warn(check, "nothing, if the last message of each key is enough; otherwise kafka-configs.sh --alter --topic "+topic+" --add-config cleanup.policy=delete",
			"it is compacted: only the last message of each key stays, and one for a candidate without a key gets the place of its source as key")
	case compacted && topic != topics.Models:
		e.fail(check, "kafka-configs.sh --alter --topic "+topic+" --add-config cleanup.policy=delete", "it is compacted: messages of one key replace each other, also before they are read, and those without a key are refused to their publishers")
	case topic == topics.Models:
		e.ok(check, "partitions: %d; compacted", partitions)
	default:
		e.ok(check, "partitions: %d; keeps messages %s, of %s bytes at the most", partitions, keeps, settings["max.message.bytes"])
	}
}

// clock compares ours with the timestamps of the newest messages.
func (e *examination) clock(ctx context.Context, client *kafka.Client, topics kafka.Topics, have map[string]int) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var newest int64
	for _, topic := range []string{topics.Architectures, topics.Labels} {
		for number := range have[topic] {
			p := schemas.TopicPartition{Topic: topic, Number: int32(number)}
			start, end, err := kafka.Ends(ctx, client, p)
			if err != nil || end == start {
				continue
			}
			m, _, _, err := kafka.OpenPartition(client, p, end-1, kafka.Limits{Wait: time.Second}).Fetch(ctx)
			if err == nil && m.Len() > 0 {
				newest = max(newest, m.Time[m.Len()-1])
			}
		}
	}
	if newest == 0 {
		e.ok("clock", "no message yet to compare with")
		return
	}
	switch ahead := time.Until(time.UnixMilli(newest)); {
	case ahead > clockSkew:
		e.fail("clock", "set the clocks of this machine, the broker and the publishers by NTP", "the newest message is %v in the future: lag and latency would be wrong", ahead.Round(time.Millisecond))
	default:
		e.ok("clock", "the newest message is %v old, none lies in the future", (-ahead).Round(time.Millisecond))
	}
}

// groups looks whether this user may take part in the groups of the role.
func (e *examination) groups(ctx context.Context, client *kafka.Client) {
	for _, group := range e.config.Groups() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		check := "group " + group
		switch err := kafka.ProbeGroup(ctx, client, group); {
		case errors.Is(err, kafkago.GroupAuthorizationFailed):
			e.fail(check, "kafka-acls.sh --add --allow-principal User:NAME --operation READ --group "+group, "this user has no right to it")
		case err != nil:
			e.fail(check, "look at the broker's log", "its rights are not known: %v", err)
		default:
			e.members(ctx, client, check, group)
		}
	}
}

// members looks for other programs among those of a group that this user may join.
func (e *examination) members(ctx context.Context, client *kafka.Client, check, group string) {
	strangers, err := kafka.Strangers(ctx, client, group)
	switch {
	case err != nil:
		e.warn(check, "look at its members by hand: kafka-consumer-groups.sh --describe --members --group "+group, "this user may join it; its members are not known: %v", err)
	case len(strangers) > 0:
		e.warn(check, "stop them, or name another group with --group", "other programs are members of it, and what is in their partitions waits: %s", strings.Join(strangers, "; "))
	default:
		e.ok(check, "this user may join it and commit offsets")
	}
}

// transactions looks whether producers of the role can start as they do in a run,
// under ids that nobody else uses.
func (e *examination) transactions(ctx context.Context, client *kafka.Client) {
	for _, group := range e.config.Groups() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		check, prefix := "transactions of "+group, e.config.TopicPrefix+group+"/"
		report, asked := e.fail, sinks.TransactionTimeout
		if e.config.Delivery == "low-latency" {
			report, asked = e.warn, pipeline.TransactionLimit // only publishing over HTTP needs them
		}
		switch err := kafka.ProbeTransactions(ctx, client, prefix+"doctor", asked); {
		case errors.Is(err, kafkago.TransactionalIDAuthorizationFailed):
			report(check, "kafka-acls.sh --add --allow-principal User:NAME --operation WRITE --transactional-id "+prefix+" --resource-pattern-type prefixed",
				"this user has no right to transactional ids that begin with %s", prefix)
		case errors.Is(err, kafkago.InvalidTransactionTimeout):
			report(check, fmt.Sprintf("set transaction.max.timeout.ms of the brokers to %d or more", asked.Milliseconds()),
				"the brokers allow no transaction of %v, which archflow asks for", asked)
		case err != nil:
			report(check, "look at the broker's log: is its topic __transaction_state whole, and are the advertised addresses reached?", "no producer can start: %v", err)
		default:
			e.ok(check, "a producer starts, with a time-out of %v", asked)
		}
	}
}
