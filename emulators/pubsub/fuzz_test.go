package pubsub

import (
	"encoding/json"
	"maps"
	"strconv"
	"testing"
	"unicode/utf8"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// FuzzMerge checks that no mask makes an update panic, and that a fixed field stays.
func FuzzMerge(f *testing.F) {
	for _, path := range []string{"", ".", "labels", "push_config.push_endpoint", "push_config.attributes.x", "retry_policy.minimum_backoff.seconds", "name", "name.x", "labels.a", "state", "push_config..x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		dst := &pb.Subscription{Name: "kept", Labels: map[string]string{"a": "b"}}
		src := &pb.Subscription{Name: "other", PushConfig: &pb.PushConfig{PushEndpoint: "x"}}
		_ = mergeFields(dst, src, &fieldmaskpb.FieldMask{Paths: []string{path}}, "name") // an error is correct, too
		if dst.GetName() != "kept" {
			t.Errorf("mask %q renamed the subscription", path)
		}
	})
}

// FuzzLeases checks that an ack id is refused, or has the form of an id of the server.
func FuzzLeases(f *testing.F) {
	for _, id := range []string{"", "1", "zz", "-1", "3w5e11264sgsf", "3w5e11264sgsg", "!"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		got, err := parseLeases([]string{id})
		if err != nil {
			return
		}
		switch back, err := strconv.ParseUint(id, 36, 64); {
		case err != nil:
			t.Errorf("ack id %q: error %v, want none", id, err)
		case got[0] != back:
			t.Errorf("ack id %q: read as %v, want %v", id, got[0], back)
		}
	})
}

// FuzzEnvelope checks that an endpoint decodes the message that was published.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("x"), "k", "v", "o", int64(1_777_863_721_700))
	f.Add([]byte{0, 0xff}, "<", "\u2028", "\"", int64(0))
	f.Fuzz(func(t *testing.T, data []byte, key, value, order string, millis int64) {
		at := &timestamppb.Timestamp{Seconds: millis % 253402300799, Nanos: 0}
		if at.CheckValid() != nil || at.Seconds < 0 || !utf8.ValidString(key) || !utf8.ValidString(value) || !utf8.ValidString(order) {
			return // protobuf cannot have such a string, and the clock cannot have such a time
		}
		m := &pb.PubsubMessage{Data: data, Attributes: map[string]string{key: value}, OrderingKey: order, MessageId: "1", PublishTime: at}
		var got pushed
		if err := json.Unmarshal(pushBody(&pb.Subscription{Name: "s"}, m, 1), &got); err != nil {
			t.Fatal(err)
		}
		switch {
		case string(got.Message.Data) != string(data):
			t.Errorf("%+v: data %q, want %q", m, string(got.Message.Data), string(data))
		case !maps.Equal(got.Message.Attributes, m.Attributes):
			t.Errorf("%+v: attributes %v, want %v", m, got.Message.Attributes, m.Attributes)
		case got.Message.OrderingKey != order:
			t.Errorf("%+v: ordering key %v, want %v", m, got.Message.OrderingKey, order)
		}
	})
}
