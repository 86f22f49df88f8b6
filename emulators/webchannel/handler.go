package webchannel

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"carillon.example/emulators/transcode"
)

// Options configure a Handler. Zero values mean the defaults.
type Options struct {
	MaxBody     int64         // bytes of a request; 16 MiB by default
	MaxSessions int           // channels at a time; 500 by default. More are answered 503
	KeepAlive   time.Duration // after which a silent back channel gets a noop message; 30 s by default
	Idle        time.Duration // after which a channel ends whose client sends nothing and has no back channel open; 60 s by default
}

// A Handler serves the bidirectional methods of gRPC services. It is used with New.
type Handler struct {
	conn    grpc.ClientConnInterface
	methods map[string]method // by path
	options Options

	// mu guards the fields below.
	mu       sync.Mutex
	sessions map[string]*session // by key; nil: the handler is closed
}

// A method is one that is served, with an empty message of each kind.
type method struct {
	name              string // "/package.Service/Method"
	request, response proto.Message
}

// key returns the key of the channel of a method with an id.
func (m method) key(id string) string { return m.name + " " + id }

// New returns a handler of the methods of services that have streams in both directions. The
// server at conn has them. It fails if the program does not have the types of a method.
func New(conn grpc.ClientConnInterface, o Options, services ...protoreflect.ServiceDescriptor) (*Handler, error) {
	o.MaxBody = cmp.Or(o.MaxBody, 16<<20)
	o.MaxSessions = cmp.Or(o.MaxSessions, 500)
	o.KeepAlive = cmp.Or(o.KeepAlive, 30*time.Second)
	o.Idle = cmp.Or(o.Idle, time.Minute)
	h := &Handler{conn: conn, methods: map[string]method{}, options: o, sessions: map[string]*session{}}

	for _, s := range services {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			if !m.IsStreamingClient() || !m.IsStreamingServer() {
				continue
			}
			request, response, err := transcode.NewMessages(m)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.FullName(), err)
			}
			name := "/" + string(s.FullName()) + "/" + string(m.Name())
			h.methods[name+"/channel"] = method{name, request, response}
		}
	}
	return h, nil
}

// Close ends all channels. Later requests are answered 503.
func (h *Handler) Close() {
	h.mu.Lock()
	sessions := h.sessions
	h.sessions = nil
	h.mu.Unlock()

	for _, s := range sessions {
		s.endSession()
	}
}

// ServeHTTP answers one request of a channel.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, ok := h.methods[r.URL.Path]
	if !ok {
		http.Error(w, "there is no method with two streams at this path", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "a channel has GET and POST only", http.StatusMethodNotAllowed)
		return
	}
	q := r.URL.Query()
	if v := q.Get("VER"); v != "8" {
		http.Error(w, fmt.Sprintf("VER is %.20q: only version 8 of WebChannel is known", v), http.StatusBadRequest)
		return
	}
	w.Header().Set("Access-Control-Expose-Headers", "X-Client-Wire-Protocol, X-HTTP-Session-Id, X-HTTP-Initial-Response") // clients look for them
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	if r.Method == http.MethodPost && !q.Has("SID") {
		h.serveOpen(w, r, m)
		return
	}
	key := m.key(q.Get("SID"))
	s := h.find(key)
	if s == nil {
		unknownChannel(w)
		return
	}
	s.touch(h.options.Idle)
	switch {
	case q.Get("TYPE") == "terminate":
		h.remove(key)
	case r.Method == http.MethodPost:
		h.serveForward(w, r, s)
	default:
		h.serveBack(w, r, s)
	}
}

// unknownChannel refuses a request of a channel that has ended. Clients look for this text.
func unknownChannel(w http.ResponseWriter) {
	http.Error(w, "Unknown SID", http.StatusBadRequest)
}

// find returns a channel, or nil.
func (h *Handler) find(key string) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[key]
}

// remove ends a channel, if it has not ended.
func (h *Handler) remove(key string) {
	h.mu.Lock()
	s := h.sessions[key]
	delete(h.sessions, key)
	h.mu.Unlock()

	if s != nil {
		s.endSession()
	}
}

// serveOpen opens a channel and answers its id.
func (h *Handler) serveOpen(w http.ResponseWriter, r *http.Request, m method) {
	f, err := h.readForward(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, s, err := h.open(m, authorization(r, f))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}

	if err := h.sendAll(r.Context(), s, f); err != nil {
		h.remove(m.key(id))
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeFramed(w, fmt.Sprintf(`[[0,["c",%q,"",8,12,%d]]]`, id, h.options.KeepAlive.Milliseconds()))
}

// authorization returns the header with the credentials of the client: of the request, of
// the body, or of a parameter, as older clients write the headers of the body.
func authorization(r *http.Request, f forward) string {
	inURL, _ := decodeHeaders(r.URL.Query().Get("$httpHeaders")) // an error: it has no credentials that can be read
	return cmp.Or(r.Header.Get("Authorization"), f.headers["authorization"], inURL["authorization"])
}

// open starts a stream and its channel.
func (h *Handler) open(m method, authorization string) (id string, s *session, err error) {
	ctx, end := context.WithCancel(context.Background())
	if authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	}
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, m.name)
	if err != nil {
		end()
		return "", nil, fmt.Errorf("the stream cannot be opened: %w", err)
	}

	id = rand.Text()
	key := m.key(id)
	s = &session{
		done: ctx, cancelStream: end, changed: make(chan struct{}),
		input: &input{stream: stream, empty: m.request, moved: make(chan struct{})},
	}
	s.mu.Lock()
	s.idle = time.AfterFunc(h.options.Idle, func() { h.expire(key, s) })
	s.mu.Unlock()
	if err := h.register(key, s); err != nil {
		s.endSession()
		return "", nil, err
	}
	go s.receive(proto.Clone(m.response))
	return id, s, nil
}

// register stores a channel. It fails if there are too many, or the server is being stopped.
func (h *Handler) register(key string, s *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions == nil {
		return errors.New("the server is being stopped")
	}
	if len(h.sessions) >= h.options.MaxSessions {
		return fmt.Errorf("there are %d channels already, the limit of this server", len(h.sessions))
	}
	h.sessions[key] = s
	return nil
}

// expire ends a channel whose client has gone. One with a back channel is in use.
func (h *Handler) expire(key string, s *session) {
	if open, _, _ := s.state(); !open {
		h.remove(key)
	}
}

// serveForward passes the messages of a client to its stream.
func (h *Handler) serveForward(w http.ResponseWriter, r *http.Request, s *session) {
	f, err := h.readForward(w, r)
	if err == nil {
		_, err = confirm(s, r.URL.Query())
	}
	if err == nil {
		err = h.sendAll(r.Context(), s, f)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}

	open, last, size := s.state()
	present := 0
	if open {
		present = 1
	}
	writeFramed(w, fmt.Sprintf("[%d,%d,%d]", present, last, size))
}

// readForward reads the body of a request.
func (h *Handler) readForward(w http.ResponseWriter, r *http.Request) (forward, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.options.MaxBody))
	if err != nil {
		return forward{}, fmt.Errorf("the body cannot be read: %w", err)
	}
	return decodeForward(string(body))
}

// confirm notes what the parameter AID says: the number of the last message that the client
// has. It fails if the channel has sent no such message.
func confirm(s *session, q url.Values) (number int64, err error) {
	if !q.Has("AID") {
		return 0, errors.New("AID is missing: the number of the last message that the client has")
	}
	if number, err = numberOf(q, "AID", maxNumber); err != nil {
		return 0, err
	}
	if !s.confirm(number) {
		return 0, fmt.Errorf("AID is %d: this channel has sent no such message", number)
	}
	return number, nil
}

// sendAll passes messages to the stream of s. A message that is none of the method ends the
// stream: the client learns it from the back channel, as the status of the stream. Other
// errors are for the answer to this request.
func (h *Handler) sendAll(ctx context.Context, s *session, f forward) error {
	ctx, cancel := context.WithTimeout(ctx, h.options.KeepAlive)
	defer cancel()
	defer context.AfterFunc(s.done, cancel)()

	for _, m := range f.messages {
		err := s.input.send(ctx, m)
		if errors.Is(err, errGap) {
			return err
		}
		if err != nil {
			s.endStream(err)
			return nil
		}
	}
	return nil
}

// writeFramed writes an answer that is one part.
func writeFramed(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	write(w, framed([]byte(text)))
}

// write writes a part of a response. It returns false if the client has gone.
func write(w io.Writer, part []byte) bool {
	if _, err := w.Write(part); err != nil {
		slog.Debug("the client of a channel has gone", "error", err)
		return false
	}
	return true
}
