package pubsub

import (
	"context"
	"errors"
	"io"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A stream is one StreamingPull call. The lock of its subscription guards its fields.
type stream struct {
	b            *subscription
	call         pb.Subscriber_StreamingPullServer
	deadline     time.Duration // ack deadline of its messages
	most         int64         // messages that the client holds at once; 0: no limit
	mostBytes    int64
	holding      int64
	holdingBytes int64
	pings        chan struct{}
	answersPings bool // clients of protocol version 1 expect it
}

// hasRoom reports whether the client accepts more messages. A unary pull (nil) always
// does.
func (st *stream) hasRoom() bool {
	return st == nil || (st.most <= 0 || st.holding < st.most) && (st.mostBytes <= 0 || st.holdingBytes < st.mostBytes)
}

// addHeldLocked counts an entry that the client gets (n is 1) or has settled (n is -1).
func (st *stream) addHeldLocked(e *entry, n int64) {
	st.holding += n
	st.holdingBytes += n * int64(len(e.msg.GetData()))
	if n < 0 {
		st.b.notifyPullersLocked()
	}
}

func (r subscriber) StreamingPull(call pb.Subscriber_StreamingPullServer) error {
	q, err := call.Recv()
	if err != nil {
		return err
	}

	b, err := r.s.findSubscription(q.GetSubscription())
	if err != nil {
		return err
	}
	if d := q.GetStreamAckDeadlineSeconds(); d < 10 || d > 600 {
		return status.Errorf(codes.InvalidArgument, "stream_ack_deadline_seconds %d is not between 10 and 600.", d)
	}

	st := &stream{b: b, call: call, deadline: time.Duration(q.GetStreamAckDeadlineSeconds()) * time.Second,
		most: q.GetMaxOutstandingMessages(), mostBytes: q.GetMaxOutstandingBytes(), pings: make(chan struct{}, 1),
		answersPings: q.GetProtocolVersion() >= 1}
	received := make(chan error, 1)
	go func() { received <- st.receiveRequests(q) }() // returns when the call ends
	return st.sendMessages(call.Context(), received)
}

// sendMessages sends ready messages until the client ends the stream.
func (st *stream) sendMessages(ctx context.Context, received <-chan error) error {
	for {
		msgs, bell, err := st.b.leaseReady(1000, st)
		if err != nil {
			return err
		}
		if len(msgs) > 0 {
			if err := st.sendResponse(msgs); err != nil {
				return err
			}
			continue
		}

		select {
		case <-bell:
		case <-st.pings:
			if err := st.sendResponse(nil); err != nil {
				return err
			}
		case err := <-received:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (st *stream) sendResponse(msgs []*pb.ReceivedMessage) error {
	return st.call.Send(&pb.StreamingPullResponse{ReceivedMessages: msgs,
		SubscriptionProperties: &pb.StreamingPullResponse_SubscriptionProperties{
			MessageOrderingEnabled: st.b.config().GetEnableMessageOrdering()}})
}

// receiveRequests handles the acknowledgements of the client, starting with the first
// request.
func (st *stream) receiveRequests(q *pb.StreamingPullRequest) error {
	for {
		if err := st.handleRequest(q); err != nil {
			return err
		}
		var err error
		if q, err = st.call.Recv(); err != nil {
			return err
		}
		if len(q.GetAckIds())+len(q.GetModifyDeadlineAckIds()) == 0 {
			st.answerPing()
		}
	}
}

func (st *stream) handleRequest(q *pb.StreamingPullRequest) error {
	if len(q.GetModifyDeadlineAckIds()) != len(q.GetModifyDeadlineSeconds()) {
		return status.Error(codes.InvalidArgument, "modify_deadline_ack_ids and modify_deadline_seconds must be of the same length.")
	}
	acks, err := parseLeases(q.GetAckIds())
	if err != nil {
		return err
	}

	extended, err := parseLeases(q.GetModifyDeadlineAckIds())
	if err != nil {
		return err
	}

	st.b.acknowledge(acks)
	for i, id := range extended {
		seconds := q.GetModifyDeadlineSeconds()[i]
		if err := checkExtension(seconds); err != nil {
			return err
		}
		st.b.extendLease(id, time.Duration(seconds)*time.Second)
	}

	return nil
}

// answerPing answers an empty request, which clients send to keep a stream alive.
func (st *stream) answerPing() {
	if !st.answersPings {
		return
	}
	select {
	case st.pings <- struct{}{}:
	default:
	}
}
