package pubsub_test

import (
	"context"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"carillon.example/emulators/pubsub"
	"carillon.example/emulators/testcloud/check"
)

// TestMissingFeaturesAreRefused asks for what the service has and this server has not.
func TestMissingFeaturesAreRefused(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	w.subscribe("there", &pb.Subscription{})
	subscription := func(s *pb.Subscription) func(context.Context) error {
		s.Name, s.Topic = "projects/p/subscriptions/new", alpha
		return func(ctx context.Context) error {
			_, err := w.SubscriptionAdminClient.CreateSubscription(ctx, s)
			return err
		}
	}
	topic := func(topic *pb.Topic) func(context.Context) error {
		topic.Name = "projects/p/topics/new"
		return func(ctx context.Context) error {
			_, err := w.TopicAdminClient.CreateTopic(ctx, topic)
			return err
		}
	}
	for name, ask := range map[string]func(context.Context) error{
		"filter":               subscription(&pb.Subscription{Filter: `attributes.a = "b"`}),
		"exactly once":         subscription(&pb.Subscription{EnableExactlyOnceDelivery: true}),
		"push without wrapper": subscription(&pb.Subscription{PushConfig: &pb.PushConfig{PushEndpoint: "http://x.example/", Wrapper: &pb.PushConfig_NoWrapper_{NoWrapper: &pb.PushConfig_NoWrapper{}}}}),
		"BigQuery":             subscription(&pb.Subscription{BigqueryConfig: &pb.BigQueryConfig{Table: "p.d.t"}}),
		"Cloud Storage":        subscription(&pb.Subscription{CloudStorageConfig: &pb.CloudStorageConfig{Bucket: "b"}}),
		"transforms":           subscription(&pb.Subscription{MessageTransforms: []*pb.MessageTransform{{}}}),
		"transforms of topics": topic(&pb.Topic{MessageTransforms: []*pb.MessageTransform{{}}}),
		"a schema":             topic(&pb.Topic{SchemaSettings: &pb.SchemaSettings{Schema: "projects/p/schemas/s"}}),
		"ingestion":            topic(&pb.Topic{IngestionDataSourceSettings: &pb.IngestionDataSourceSettings{}}),
		"a snapshot": func(ctx context.Context) error {
			_, err := w.SubscriptionAdminClient.CreateSnapshot(ctx, &pb.CreateSnapshotRequest{Name: "projects/p/snapshots/s", Subscription: "projects/p/subscriptions/there"})
			return err
		},
		"seek to a snapshot": func(ctx context.Context) error {
			_, err := w.SubscriptionAdminClient.Seek(ctx, &pb.SeekRequest{Subscription: "projects/p/subscriptions/there",
				Target: &pb.SeekRequest_Snapshot{Snapshot: "projects/p/snapshots/s"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := ask(t.Context())
			check.Equal(t, status.Code(err).String(), codes.Unimplemented.String(), "code (%v)", err)
		})
	}
}

// TestTheExpirationPolicyIsStored checks what a subscription says of its expiration. It has no
// effect: subscriptions never expire.
func TestTheExpirationPolicyIsStored(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	for name, c := range map[string]struct {
		policy *pb.ExpirationPolicy
		want   time.Duration
	}{
		"none":       {nil, 31 * 24 * time.Hour},
		"ninety-day": {&pb.ExpirationPolicy{Ttl: durationpb.New(90 * 24 * time.Hour)}, 90 * 24 * time.Hour},
		"never":      {&pb.ExpirationPolicy{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			created := w.subscribe(name, &pb.Subscription{ExpirationPolicy: c.policy})
			s, err := w.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{Subscription: created})
			if err != nil {
				t.Fatal(err)
			}
			check.Equal(t, s.GetExpirationPolicy().GetTtl().AsDuration(), c.want, "time without use after which it would expire")
		})
	}
}
