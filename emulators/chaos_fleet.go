package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"carillon.example/shared/push"
)

// A fleet runs every function in processes of its own behind one address each,
// as Cloud Run does: while no instance is up the answer is 503, and what takes
// longer than the function's time-out is broken off with 504.
type fleet struct {
	binary  string
	timeout time.Duration
	log     io.Writer // of the processes
	calls   *calls

	mu      sync.Mutex
	all     []*instance
	byFn    map[string][]*instance
	turn    int
	stats   map[string]int // what was done to instances
	closed  bool
	revived sync.WaitGroup
}

// An instance is a place for one process of a function.
type instance struct {
	fn       string
	n        int
	life     int // how many processes it has had
	crashed  int // the last of them that ended by itself
	proxy    *httputil.ReverseProxy
	cmd      *exec.Cmd
	stdin    io.Closer
	gone     chan struct{} // closed when the process has ended
	starting bool
	dying    bool // it was sent SIGTERM: nothing new goes to it
}

// fleetSizes are how many processes of each function run side by side where all
// functions run apart.
func fleetSizes(deliver int) map[string]int {
	return map[string]int{"mailings": 1, "customers": 1, "dispatch": 2, "deliver": deliver, "tick": 1}
}

// deliverApart is how many processes of deliver there are where nobody says.
const deliverApart = 2

// newFleet makes places for sizes[fn] processes of each function; nothing is
// started yet. c may be nil.
func newFleet(sizes map[string]int, timeout time.Duration, c *calls, out io.Writer) (*fleet, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	f := &fleet{binary: binary, timeout: timeout, log: out, calls: c, byFn: map[string][]*instance{}, stats: map[string]int{}}
	for fn, n := range sizes {
		for i := range n {
			x := &instance{fn: fn, n: i}
			f.all, f.byFn[fn] = append(f.all, x), append(f.byFn[fn], x)
		}
	}
	return f, nil
}

// startAll starts what is not up.
func (f *fleet) startAll(ctx context.Context) error {
	for _, x := range f.all {
		if err := f.start(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// start starts a process where none is, and waits for its address.
func (f *fleet) start(ctx context.Context, x *instance) error {
	f.mu.Lock()
	if x.gone != nil || x.starting || f.closed || ctx.Err() != nil {
		f.mu.Unlock()
		return ctx.Err()
	}

	x.starting = true
	f.mu.Unlock()
	cmd, stdin, addr, err := f.spawn(ctx, x.fn)
	f.mu.Lock()
	defer f.mu.Unlock()
	x.starting = false
	if err != nil {
		return fmt.Errorf("starting %s: %w", x.fn, err)
	}

	gone := make(chan struct{})
	x.cmd, x.stdin, x.gone, x.dying, x.proxy = cmd, stdin, gone, false, newProxy(addr)
	x.life++
	life := x.life
	go func() {
		_ = cmd.Wait() // how it ended is known: it was told to, or it crashed
		close(gone)
		f.crashed(x, life)
	}()

	return nil
}

// spawn starts a process; its group is its own, since Ctrl-C is ours to pass on.
func (f *fleet) spawn(ctx context.Context, fn string) (*exec.Cmd, io.Closer, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, "", err
	}

	cmd := exec.CommandContext(context.WithoutCancel(ctx), f.binary, "function", fn)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = w, f.log
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	_ = w.Close() // the process has its own
	if err != nil {
		_ = r.Close()
		return nil, nil, "", err
	}

	lines := bufio.NewReader(r)
	addr, err := lines.ReadString('\n')
	if err != nil {
		_ = r.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, nil, "", fmt.Errorf("it did not say where it is: %w", err)
	}

	go func() { // its log: to the end, or it would break on a closed pipe
		_, _ = io.Copy(f.log, lines)
		_ = r.Close()
	}()
	return cmd, stdin, strings.TrimSpace(addr), nil
}

func newProxy(addr string) *httputil.ReverseProxy {
	to := &url.URL{Scheme: "http", Host: addr}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			code := http.StatusServiceUnavailable
			if r.Context().Err() != nil {
				code = http.StatusGatewayTimeout
			} else if b, ok := r.Context().Value(brokenKey{}).(*bool); ok {
				*b = true
			}
			http.Error(w, "the instance is gone: "+err.Error(), code)
		},
	}
}

// end ends a process, at once or with its last words, and waits for it. The
// place stays empty.
func (f *fleet) end(x *instance, sig syscall.Signal) {
	f.mu.Lock()
	cmd, gone, stdin, fn := x.cmd, x.gone, x.stdin, x.fn
	if gone == nil || x.dying {
		f.mu.Unlock()
		return
	}

	x.dying = true
	if sig == syscall.SIGKILL {
		f.calls.killed(x)
	}
	_ = cmd.Process.Signal(sig) // it may have ended by itself
	f.stats[fn+" "+sig.String()]++
	f.mu.Unlock()
	late := time.AfterFunc(lastWords, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		select {
		case <-gone:
			return
		default:
		}
		f.calls.killed(x)
		_ = cmd.Process.Kill()
		f.stats[fn+" killed after its last words"]++
	})
	<-gone
	late.Stop()
	stdin.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	x.gone, x.proxy, x.cmd = nil, nil, nil
}

// Close ends every process.
func (f *fleet) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.revived.Wait()
	var all sync.WaitGroup
	for _, x := range f.all {
		all.Go(func() { f.end(x, syscall.SIGTERM) })
	}
	all.Wait()
}

func (f *fleet) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.stats)
}

// pick finds an instance that is up, in turn.
func (f *fleet) pick(fn string) (*instance, int, *httputil.ReverseProxy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
	list := f.byFn[fn]
	for i := range list {
		x := list[(f.turn+i)%len(list)]
		if x.gone != nil && !x.dying {
			return x, x.life, x.proxy
		}
	}
	return nil, 0, nil
}

// handler is the function's stable address.
func (f *fleet) handler(fn string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), f.timeout)
		defer cancel()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the request broke off", http.StatusBadRequest)
			return
		}
		x, life, p := f.pick(fn)
		if p == nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "no instance is up", http.StatusServiceUnavailable)
			return
		}
		broken := false
		if fn == "deliver" {
			ended := f.calls.begin(x, life, refOf(body))
			defer func() { ended(broken && f.hasCrashed(x, life)) }()
		}
		r = r.WithContext(context.WithValue(ctx, brokenKey{}, &broken))
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		p.ServeHTTP(w, r)
	})
}

// refOf is the batch that a push to deliver names.
func refOf(body []byte) (ref push.BatchRef) {
	var p struct{ Message struct{ Data []byte } }
	if json.Unmarshal(body, &p) == nil {
		_ = json.Unmarshal(p.Message.Data, &ref) // what is no batch stays empty
	}
	return ref
}
