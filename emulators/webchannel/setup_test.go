package webchannel_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/emulators/webchannel"
	"carillon.example/emulators/webchannel/webchanneltest"
)

const listen = "/google.firestore.v1.Firestore/Listen/channel"

// A service is the server behind a handler: it takes streams, and the test answers them.
type service struct {
	grpc.ClientConnInterface // Invoke is not used
	streams                  []*stream
	down                     error // of new streams
}

// NewStream returns a stream of the test.
func (s *service) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	if s.down != nil {
		return nil, s.down
	}
	st := &stream{ctx: ctx, method: method, responses: make(chan any)}
	s.streams = append(s.streams, st)
	return st, nil
}

// A stream notes what it gets. It returns what the test sends on responses: a message or an
// error.
type stream struct {
	grpc.ClientStream // the other methods are not used
	ctx               context.Context
	method            string
	requests          []string
	responses         chan any
}

// SendMsg notes a request by the id of its target.
func (s *stream) SendMsg(m any) error {
	s.requests = append(s.requests, strconv.Itoa(int(m.(*pb.ListenRequest).GetRemoveTarget())))
	return nil
}

// RecvMsg waits for the test.
func (s *stream) RecvMsg(m any) error {
	select {
	case out := <-s.responses:
		if err, ok := out.(error); ok {
			return err
		}
		proto.Merge(m.(proto.Message), out.(proto.Message))
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// offer gives the stream a response, or reports after a moment that it does not take it.
func (s *stream) offer(response any) (taken bool) {
	synctest.Wait()
	select {
	case s.responses <- response:
		synctest.Wait()
		return true
	default:
		return false
	}
}

// authorization returns the credentials that the stream was opened with.
func (s *stream) authorization() []string {
	md, _ := metadata.FromOutgoingContext(s.ctx)
	return md.Get("authorization")
}

// change is a response that the tests know by its number.
func change(n int32) *pb.ListenResponse {
	return &pb.ListenResponse{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: &pb.TargetChange{TargetIds: []int32{n}}}}
}

// A world is a handler with its service. It lives in the bubble of a test.
type world struct {
	*testing.T
	handler *webchannel.Handler
	service *service
}

// inBubble runs a test with time of its own.
func inBubble(t *testing.T, o webchannel.Options, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		h, err := webchannel.New(s, o, pb.File_google_firestore_v1_firestore_proto.Services().ByName("Firestore"))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		test(&world{t, h, s})
	})
}

// ask sends a request and waits for its answer. query is that of the address, without VER.
func (w *world) ask(method, query, body string) *httptest.ResponseRecorder {
	w.Helper()
	return w.askAt(listen+"?VER=8&"+query, method, body)
}

func (w *world) askAt(address, method, body string) *httptest.ResponseRecorder {
	w.Helper()
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, httptest.NewRequestWithContext(w.Context(), method, address, strings.NewReader(body)))
	return out
}

// messages returns the body of a request: messages whose targets have the given ids, as their
// numbers.
func messages(offset int, targets ...int) string {
	out := fmt.Sprintf("count=%d&ofs=%d", len(targets), offset)
	for i, id := range targets {
		out += fmt.Sprintf("&req%d___data__=%s", i, url.QueryEscape(fmt.Sprintf(`{"removeTarget":%d}`, id)))
	}
	return out
}

// open opens a channel with messages, and returns its id and its stream.
func (w *world) open(body string) (id string, s *stream) {
	w.Helper()
	out := w.ask("POST", "RID=1&CVER=22", body)
	check.MustEqual(w, out.Code, http.StatusOK, "status of the request that opens a channel (%s)", out.Body)
	parts := w.parts(out.Body.String())
	id, _ = webchanneltest.At(parts[0], 0, 1, 1).(string)
	check.Equal(w, webchanneltest.At(parts[0], 0, 1, 0), any("c"), "first word of the answer")
	if id == "" {
		w.Fatalf("the channel was opened with %v, want an id", parts)
	}
	return id, w.service.streams[len(w.service.streams)-1]
}

// A backChannel is a response that may not have ended.
type backChannel struct {
	*httptest.ResponseRecorder
	mu     sync.Mutex // guards the body: a test reads it while the handler may write the next part
	hangUp context.CancelFunc
	ended  chan struct{}
}

func (b *backChannel) Write(part []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ResponseRecorder.Write(part)
}

// written returns the body so far.
func (b *backChannel) written() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Body.String()
}

// isOpen reports whether the response has not ended.
func (b *backChannel) isOpen() bool {
	synctest.Wait()
	select {
	case <-b.ended:
		return false
	default:
		return true
	}
}

// back opens the back channel of a client that has the messages up to a number.
func (w *world) back(id string, received int, query string) *backChannel {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	b := &backChannel{ResponseRecorder: httptest.NewRecorder(), hangUp: cancel, ended: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?VER=8&RID=rpc&TYPE=xmlhttp&SID=%s&AID=%d&%s", listen, id, received, query), nil)
	go func() {
		defer close(b.ended)
		w.handler.ServeHTTP(b, r)
	}()
	synctest.Wait()
	return b
}

// parts returns the parts of a response. It checks their lengths.
func (w *world) parts(response string) (out []any) {
	w.Helper()
	body := bufio.NewReader(strings.NewReader(response))
	for {
		part, err := webchanneltest.ReadPart(body)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			w.Fatalf("the response %q: %v", response, err)
		}
		out = append(out, part)
	}
}

// got returns the messages of a back channel so far, one text each: their number, and the
// target, the error or the word that they have.
func (w *world) got(b *backChannel) (out []string) {
	w.Helper()
	synctest.Wait()
	for _, part := range w.parts(b.written()) {
		for _, m := range part.([]any) {
			what := webchanneltest.At(m, 1, 0)
			for _, path := range [][]any{{"targetChange", "targetIds", 0}, {"error", "status"}} {
				if v := webchanneltest.At(what, path...); v != nil {
					what = v
				}
			}
			out = append(out, fmt.Sprint(webchanneltest.At(m, 0), " ", what))
		}
	}
	return out
}
