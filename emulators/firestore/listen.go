package firestore

import (
	"errors"
	"io"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/firestore/engine"
)

func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Listen serves the stream on which clients follow queries and documents.
func (s *service) Listen(st pb.Firestore_ListenServer) error {
	reqs, ended := receiveRequests(st)
	var l *engine.Listener
	var changed <-chan struct{}
	for {
		var out []*pb.ListenResponse
		var err error
		select {
		case err := <-ended:
			return endOfStream(err)
		case <-changed:
			out, err = l.Update(st.Context())
		case r := <-reqs:
			if l == nil {
				db, err := s.engine.Database(r.GetDatabase())
				if err != nil {
					return err
				}
				l = db.Listen()
			}
			out = changeTarget(st, l, r)
		}
		if err != nil {
			return err
		}

		for _, m := range out {
			if err := st.Send(m); err != nil {
				return err
			}
		}
		changed = l.Changed()
	}
}

// changeTarget adds or removes a target. It reports an error of a target as a
// message on the stream, so that the stream continues for the other targets.
func changeTarget(st pb.Firestore_ListenServer, l *engine.Listener, r *pb.ListenRequest) []*pb.ListenResponse {
	if r.GetAddTarget() == nil {
		return l.Remove(r.GetRemoveTarget())
	}

	out, err := l.Add(st.Context(), r.GetAddTarget())
	if err == nil {
		return out
	}

	e := status.Convert(err)
	return []*pb.ListenResponse{{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: &pb.TargetChange{
		TargetChangeType: pb.TargetChange_REMOVE,
		TargetIds:        []int32{r.GetAddTarget().GetTargetId()},
		Cause:            &rpcstatus.Status{Code: int32(e.Code()), Message: e.Message()},
	}}}}
}

// receiveRequests passes requests on until the stream ends. Its goroutine ends
// with the context of the stream. ended has room for one error, so that the
// goroutine never blocks on it.
func receiveRequests(st pb.Firestore_ListenServer) (<-chan *pb.ListenRequest, <-chan error) {
	reqs, ended := make(chan *pb.ListenRequest), make(chan error, 1)
	go func() {
		for {
			r, err := st.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case reqs <- r:
			case <-st.Context().Done():
				return
			}
		}
	}()

	return reqs, ended
}
