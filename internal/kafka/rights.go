package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Rights are a user's rights on a topic.
type Rights struct{ Describe, Read, Write bool }

// TopicRights returns the rights that the broker says this user has. Topics that
// are absent are left out; one that the user may not see is there without rights.
func TopicRights(ctx context.Context, client *kafka.Client, topics []string) (map[string]Rights, error) {
	request := kmsg.NewPtrMetadataRequest()
	request.Version, request.AllowAutoTopicCreation, request.IncludeTopicAuthorizedOperations = rightsSince, false, true
	for _, topic := range topics {
		request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: &topic})
	}
	answer := kmsg.NewPtrMetadataResponse()
	if _, err := roundTrip[*rawRequest](ctx, client, &rawRequest{request, answer}); err != nil {
		return nil, fmt.Errorf("ask for the rights on topics: %w", err)
	}
	rights := map[string]Rights{}
	for _, topic := range answer.Topics {
		err := codeOf(topic.ErrorCode)
		if topic.Topic == nil || err != nil && !errors.Is(err, kafka.TopicAuthorizationFailed) {
			continue
		}
		has := func(o kmsg.ACLOperation) bool { return err == nil && topic.AuthorizedOperations&(1<<o) != 0 }
		rights[*topic.Topic] = Rights{has(kmsg.ACLOperationDescribe), has(kmsg.ACLOperationRead), has(kmsg.ACLOperationWrite)}
	}
	return rights, nil
}

// rightsSince is the version of Metadata that brought authorized operations
// (KIP-430).
const rightsSince = 8

// ProbeGroup returns the error of a user who may not take part in a group. It
// sends any broker the heartbeat of a member that does not exist, which changes
// nothing: rights come before members and coordinators.
func ProbeGroup(ctx context.Context, client *kafka.Client, group string) error {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Version, request.Group, request.MemberID = 3, group, "none"
	answer := kmsg.NewPtrHeartbeatResponse()
	// The library reads the fields of the answer in the wrong order.
	if _, err := roundTrip[*rawRequest](ctx, client, &rawRequest{request, answer}); err != nil {
		return fmt.Errorf("ask for the rights on group %s: %w", group, err)
	}
	if err := codeOf(answer.ErrorCode); errors.Is(err, kafka.GroupAuthorizationFailed) {
		return err
	}
	return nil
}

// ProbeTransactions returns the error of a producer that cannot start under a
// transactional id, for transactions of up to timeout. The id is registered with the
// broker, which forgets it after transactional.id.expiration.ms.
func ProbeTransactions(ctx context.Context, client *kafka.Client, id string, timeout time.Duration) error {
	_, err := OpenProducer(ctx, client, id, timeout, compress.None)
	return err
}

// Strangers lists the members of a group that are other programs, with the number of
// partitions that each holds.
func Strangers(ctx context.Context, client *kafka.Client, group string) ([]string, error) {
	answer, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return nil, fmt.Errorf("ask for the members of group %s: %w", group, err)
	}
	var strangers []string
	for _, g := range answer.Groups {
		if g.Error != nil {
			return nil, fmt.Errorf("ask for the members of group %s: %w", group, g.Error)
		}
		for _, m := range g.Members {
			if m.ClientID == clientID {
				continue
			}
			partitions := 0
			for _, topic := range m.MemberAssignments.Topics {
				partitions += len(topic.Partitions)
			}
			strangers = append(strangers, fmt.Sprintf("%s at %s with %d partitions", m.ClientID, m.ClientHost, partitions))
		}
	}
	return strangers, nil
}
