package fcm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	emulated "carillon.example/emulators/fcm"
)

func startFCM(t *testing.T, o emulated.Options) *emulated.Server {
	t.Helper()
	srv, err := emulated.Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// newFastSender is a sender without a pace to speak of.
func newFastSender(t *testing.T, c Config) *Sender {
	t.Helper()
	c.Project, c.QuotaPerMinute, c.MaxInstances = "p", 1_000_000_000, 1
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func compileTestMessage(t testing.TB) *Message {
	t.Helper()
	m, err := Compile([]byte(`{"notification":{"title":"Spring sale"},"data":{"screen":"sale"}}`), Extra{MailingID: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// An answerBook collects answers, and reports a second answer to the same item.
type answerBook struct {
	t    *testing.T
	s    *Sender
	m    *Message
	wg   sync.WaitGroup
	mu   sync.Mutex        // guards got and sent
	got  map[string]Answer // by target
	sent int
}

func newAnswerBook(t *testing.T, s *Sender) *answerBook {
	return &answerBook{t: t, s: s, m: compileTestMessage(t), got: map[string]Answer{}}
}

func (b *answerBook) sendTarget(ctx context.Context, target string, until time.Time) {
	b.sendItem(ctx, Item{Target: target, Until: until})
}

// sendItem sends an item, whose message and customer it adds.
func (b *answerBook) sendItem(ctx context.Context, it Item) {
	target := it.Target
	it.Message, it.Customer = b.m, "c-"+target
	b.wg.Add(1)
	b.sent++
	b.s.Send(ctx, it, func(a Answer) {
		b.mu.Lock()
		_, twice := b.got[target]
		b.got[target] = a
		b.mu.Unlock()
		if twice {
			b.t.Errorf("%s is answered twice", target)
			return
		}
		b.wg.Done()
	})
}

func (b *answerBook) sendMany(ctx context.Context, n int, until time.Time) {
	for i := range n {
		b.sendTarget(ctx, testToken(i), until)
	}
}

// testToken returns a token that has the form which the emulator accepts.
func testToken(i int) string { return fmt.Sprintf("token-%06d:APA91b-abcdefghijklmnopqrstuvwxyz", i) }

// countClasses waits for all answers and counts them.
func (b *answerBook) countClasses() map[AnswerClass]int {
	b.t.Helper()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[AnswerClass]int{}
	for _, a := range b.got {
		counts[a.Class]++
	}
	if len(b.got) != b.sent {
		b.t.Errorf("%d answers to %d items", len(b.got), b.sent)
	}
	return counts
}

func (b *answerBook) answerOf(target string) Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[target]
}

func clientTLS(roots *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: roots} }

// quiet is for servers whose clients leave in the middle of a handshake.
var quiet = log.New(io.Discard, "", 0)

// A pipe is a listener in memory, for tests whose clock is not the real one.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipe() *pipe { return &pipe{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// newPipedSender serves handle over a pipe and gives a sender to it; to be used within
// synctest.Test. end stops both.
func newPipedSender(t *testing.T, c Config, handle http.HandlerFunc) (s *Sender, end func()) {
	t.Helper()
	p := newPipe()
	srv := &http.Server{ErrorLog: quiet, Handler: handle, Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(p)
	c.Project, c.Endpoint, c.dial = "p", "http://fcm.invalid", p.dial
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s, func() { s.Close(); srv.Close() }
}

// writeReply answers a request after its body was read.
func writeReply(w http.ResponseWriter, r *http.Request, code int, body string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

const taken = `{"name":"projects/p/messages/1"}`
