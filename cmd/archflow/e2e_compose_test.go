package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
)

// kafkaProperties turns the environment of the apache/kafka image into Kafka's
// properties by the image's rule: KAFKA_A_B is a.b, two underscores are
// one, three for a dash, and some variables are for the scripts. A property
// that is set so goes without the image's defaults.
func kafkaProperties(environment map[string]*string) map[string]string {
	scripts := []string{"KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JMX_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_VERSION"}
	rule := strings.NewReplacer("___", "-", "__", "_", "_", ".")
	properties := map[string]string{}
	for name, value := range environment {
		key, ours := strings.CutPrefix(name, "KAFKA_")
		if ours && value != nil && !slices.Contains(scripts, name) {
			properties[strings.ToLower(rule.Replace(key))] = *value
		}
	}
	return properties
}

func TestKafkaProperties(t *testing.T) {
	v := "1"
	got := kafkaProperties(map[string]*string{"KAFKA_NODE_ID": &v, "KAFKA_A__B_C___D": &v, "KAFKA_HEAP_OPTS": &v, "KAFKA_EMPTY": nil, "HOME": &v})
	if want := map[string]string{"node.id": "1", "a_b.c-d": "1"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestEndToEndComposeKafka starts Apache Kafka as compose.yaml configures it,
// with nothing changed but host names, ports and the folder.
func TestEndToEndComposeKafka(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../../compose.yaml"}, cli.WithWorkingDirectory("../.."), cli.WithEnv([]string{"ARCHFLOW_HTTP_TOKEN=secret"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	service := project.Services["kafka"]
	properties := kafkaProperties(service.Environment)
	kept := false
	for _, v := range service.Volumes {
		kept = kept || v.Target == properties["log.dirs"]
	}
	if !kept {
		t.Errorf("log.dirs is %q, which is on no volume: messages are lost with the container", properties["log.dirs"])
	}
	_, host, err := net.SplitHostPort(kafkatest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	server := kafkatest.Configured(t, func(dir string, broker, controller int) string {
		local := strings.NewReplacer(
			"//:9092", "//127.0.0.1:"+strconv.Itoa(broker), "//:9093", "//127.0.0.1:"+strconv.Itoa(controller), "//:19092", "//127.0.0.1:"+host,
			"kafka:9092", "127.0.0.1:"+strconv.Itoa(broker), "kafka:9093", "127.0.0.1:"+strconv.Itoa(controller), "localhost:19092", "127.0.0.1:"+host,
			"/var/lib/kafka", dir,
		)
		var text strings.Builder
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			fmt.Fprintf(&text, "%s=%s\n", key, local.Replace(properties[key]))
		}
		return text.String()
	})
	server.Start(t)
	for _, address := range []string{server.Address, fmt.Sprint("127.0.0.1:", host)} {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 2, "architectures")
		about, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, topic := range about.Topics {
			found = found || topic.Name == "architectures" && len(topic.Partitions) == 2
		}
		if !found {
			t.Errorf("%s lists %v", address, about.Topics)
		}
	}
	// A partition's folder is made at the latest when a message arrives.
	writer := kafkatest.Foreign(t, server.Address)
	if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: "architectures", Partition: 1, Value: []byte("{}")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	data := server.Folder()
	if _, err := os.Stat(data + "/data/architectures-1"); err != nil {
		t.Errorf("the messages are elsewhere: %v", err)
	}
}
