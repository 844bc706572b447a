package sinks

import (
	"testing"

	"archflow/internal/kafka/kafkatest"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }
