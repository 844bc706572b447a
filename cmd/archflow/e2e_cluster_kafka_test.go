package main

import (
	"maps"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What an operator, or an accident, does to topics and groups of a cluster.

func (r *clusterRound) grow(short string, most int) {
	have := len(r.partitions(short))
	if have == 0 || have >= most {
		return
	}
	q := kmsg.NewPtrCreatePartitionsRequest()
	q.TimeoutMillis = 10_000
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = r.in.topic(short), int32(have+1)
	q.Topics = append(q.Topics, topic)
	request(r, q)
}

// moveLeaders gives the partitions of a topic, one of Kafka's own at times, replicas in
// another order and lets the first of each lead.
func (r *clusterRound) moveLeaders() {
	topics := []string{"__consumer_offsets", "__transaction_state"}
	for _, short := range []string{"architectures", "labels", "predictions", "dead-letters", "models"} {
		topics = append(topics, r.in.topic(short))
	}
	name := topics[r.random.IntN(len(topics))]
	ask := kmsg.NewPtrMetadataRequest()
	ask.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	known, ok := request(r, ask)
	if !ok || len(known.Topics) != 1 {
		return
	}
	move := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	lead := kmsg.NewPtrElectLeadersRequest()
	lead.TimeoutMillis = 10_000
	moved, led := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewElectLeadersRequestTopic()
	moved.Topic, led.Topic = name, name
	for _, p := range known.Topics[0].Partitions {
		replicas := []int32{1, 2, 3}
		r.random.Shuffle(3, func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })
		to := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		to.Partition, to.Replicas = p.Partition, replicas
		moved.Partitions = append(moved.Partitions, to)
		led.Partitions = append(led.Partitions, p.Partition)
	}
	move.Topics, lead.Topics = append(move.Topics, moved), append(lead.Topics, led)
	if _, ok := request(r, move); ok {
		request(r, lead)
	}
}

func (r *clusterRound) group() string { return r.in.prefix + "group" }

// throwOut removes the members of a group as an administrator may.
func (r *clusterRound) throwOut() {
	group := []string{r.group(), r.group() + "-trainer"}[r.random.IntN(2)]
	ask := kmsg.NewPtrDescribeGroupsRequest()
	ask.Groups = []string{group}
	known, ok := request(r, ask)
	if !ok || len(known.Groups) != 1 {
		return
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = group
	for _, m := range known.Groups[0].Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		leave.Members = append(leave.Members, member)
	}
	request(r, leave)
}

// tableIsLevel reports whether the predictions table has all that the topic has. The
// workers have stopped.
func (r *clusterRound) tableIsLevel() bool {
	topic := r.in.topic("architectures")
	group, ok := r.offsets()
	if !ok {
		return false
	}
	table := map[int32]int64{}
	if !r.foreign(&table, "positions", r.in.table("predictions"), r.group()+"/"+topic+"/") {
		return false
	}
	level := maps.Equal(group, table)
	if !level {
		r.t.Logf("left out: the topic is at %v and the table at %v", group, table)
	}
	return level
}

// offsets returns the group's committed offsets of the candidates.
func (r *clusterRound) offsets() (map[int32]int64, bool) {
	ask := kmsg.NewPtrOffsetFetchRequest()
	ask.Group, ask.RequireStable = r.group(), true
	of := kmsg.NewOffsetFetchRequestTopic()
	of.Topic = r.in.topic("architectures")
	for _, p := range r.partitions("architectures") {
		of.Partitions = append(of.Partitions, int32(p))
	}
	ask.Topics = append(ask.Topics, of)
	known, ok := request(r, ask)
	if !ok || len(known.Topics) != 1 {
		return nil, false
	}
	out := map[int32]int64{}
	for _, p := range known.Topics[0].Partitions {
		if p.ErrorCode != 0 {
			return nil, false
		}
		if p.Offset >= 0 {
			out[p.Partition] = p.Offset
		}
	}
	return out, true
}

// deleteGroup lets the group's positions be lost while all workers are away.
func (r *clusterRound) deleteGroup() {
	r.stopped(r.workers(), func() {
		if !r.tableIsLevel() {
			return
		}
		q := kmsg.NewPtrDeleteGroupsRequest()
		q.Groups = []string{r.group()}
		if gone, ok := request(r, q); ok && gone.Groups[0].ErrorCode != 0 {
			r.t.Logf("the group was not deleted: code %d", gone.Groups[0].ErrorCode)
		}
	})
}
