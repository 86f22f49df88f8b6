package webchannel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// An input passes the messages of a client to the stream in the order of their numbers, each
// once. Requests may come twice, and in another order.
type input struct {
	stream grpc.ClientStream
	empty  proto.Message // a request of the method

	// mu guards the fields below. It is held while a message is sent, so that no other one
	// overtakes it. That ends with the stream at the latest.
	mu    sync.Mutex
	next  int64         // the number of the next message
	moved chan struct{} // closed when next has changed
}

// errGap says that a message cannot be sent because one before it has not come.
var errGap = errors.New("a message before it has not come")

// send passes a message on. It waits for the messages before it while ctx is not done. The
// error is errGap, or a status that ends the stream: the message is none of the method.
func (in *input) send(ctx context.Context, m incoming) error {
	for {
		wait, err := in.try(m)
		if wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return fmt.Errorf("message %d: %w", m.number, errGap)
		}
	}
}

// try passes a message on if it is the next one. If one before it has not come, it returns
// what to wait for.
func (in *input) try(m incoming) (wait <-chan struct{}, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if m.number > in.next {
		return in.moved, nil
	}
	if m.number < in.next {
		return nil, nil // the client sent it again
	}

	request := in.empty.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal([]byte(m.json), request); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "The message cannot be read: %v", err)
	}
	// After an error the stream has ended. Whoever receives from it gets the reason.
	_ = in.stream.SendMsg(request)
	in.next++
	close(in.moved)
	in.moved = make(chan struct{})
	return nil, nil
}
