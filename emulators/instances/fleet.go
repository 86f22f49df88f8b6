// Package instances runs functions in their own processes. As on Cloud Run, each function
// has one address, and a proxy passes its requests to one of its processes. The package
// also records which calls each process had in progress.
package instances

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

	"carillon.example/emulators/progress"
	"carillon.example/shared/push"
)

// A Fleet runs the processes of all functions. While no instance of a function is up, its
// requests get 503. A request that takes longer than the time-out gets 504.
type Fleet struct {
	binary  string
	timeout time.Duration
	log     io.Writer // for the logs of the processes
	Calls   *CallLog

	Mu         sync.Mutex // guards the fields below, and those of the instances
	All        []*Instance
	ByFunction map[string][]*Instance
	turn       int            // selects the instance for the next request
	stats      map[string]int // how often each thing was done to processes
	closed     bool
	restarts   sync.WaitGroup
}

// An Instance runs one process of a function at a time.
type Instance struct {
	Function string
	n        int // its number among the instances of the function
	Starts   int // number of processes that it has started so far
	crashed  int // number of the last process that ended by itself
	proxy    *httputil.ReverseProxy
	Command  *exec.Cmd
	stdin    io.Closer
	exited   chan struct{} // closed when the process has ended
	starting bool
	stopping bool // End has sent a signal to the process: it gets no new requests
}

// FleetSizes returns the number of processes of each function, if all functions run
// in processes of their own.
func FleetSizes(deliver int) map[string]int {
	return map[string]int{"mailings": 1, "customers": 1, "dispatch": 2, "deliver": deliver, "tick": 1}
}

// DefaultDeliverInstances is the default number of processes of deliver.
const DefaultDeliverInstances = 2

// NewFleet makes sizes[fn] instances of each function and starts none. c may be nil.
func NewFleet(sizes map[string]int, timeout time.Duration, c *CallLog, out io.Writer) (*Fleet, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	f := &Fleet{binary: binary, timeout: timeout, log: out, Calls: c, ByFunction: map[string][]*Instance{}, stats: map[string]int{}}

	for fn, n := range sizes {
		for i := range n {
			x := &Instance{Function: fn, n: i}
			f.All, f.ByFunction[fn] = append(f.All, x), append(f.ByFunction[fn], x)
		}
	}
	return f, nil
}

// StartAll starts every instance that is down.
func (f *Fleet) StartAll(ctx context.Context) error {
	for _, x := range f.All {
		if err := f.Start(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// Start starts a process for an instance that is down, and waits for its address.
func (f *Fleet) Start(ctx context.Context, x *Instance) error {
	f.Mu.Lock()
	if x.exited != nil || x.starting || f.closed || ctx.Err() != nil {
		f.Mu.Unlock()
		return ctx.Err()
	}

	x.starting = true
	f.Mu.Unlock()
	cmd, stdin, addr, err := f.startProcess(ctx, x.Function)
	f.Mu.Lock()
	defer f.Mu.Unlock()
	x.starting = false
	if err != nil {
		return fmt.Errorf("starting %s: %w", x.Function, err)
	}

	exited := make(chan struct{})
	x.Command, x.stdin, x.exited, x.stopping, x.proxy = cmd, stdin, exited, false, newProxy(addr)
	x.Starts++
	start := x.Starts
	go func() {
		_ = cmd.Wait() // the exit status does not matter: handleCrash knows why the process ended
		close(exited)
		f.handleCrash(x, start)
	}()

	return nil
}

// startProcess starts a process. The process has a process group of its own, because
// Ctrl-C in a terminal signals the whole group, and the fleet ends its processes itself.
func (f *Fleet) startProcess(ctx context.Context, fn string) (*exec.Cmd, io.Closer, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, "", err
	}

	// WithoutCancel: the process must outlive the call that starts it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), f.binary, "function", fn)
	cmd.SysProcAttr = ownProcessGroup()
	cmd.Stdout, cmd.Stderr = w, f.log
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	_ = w.Close() // the process has a copy
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
		return nil, nil, "", fmt.Errorf("the process did not print its address: %w", err)
	}

	go func() { // without a reader of its output the process would fail on a closed pipe
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
			http.Error(w, "the process of the instance has ended: "+err.Error(), code)
		},
	}
}

// End ends a process and waits until it has ended. With SIGTERM the process has
// shutdownTimeout to finish. The instance stays down.
func (f *Fleet) End(x *Instance, sig syscall.Signal) {
	f.Mu.Lock()
	cmd, exited, stdin, fn := x.Command, x.exited, x.stdin, x.Function
	if exited == nil || x.stopping {
		f.Mu.Unlock()
		return
	}

	x.stopping = true
	if sig == syscall.SIGKILL {
		f.Calls.MarkKilled(x)
	}
	if err := cmd.Process.Signal(sig); err != nil {
		// The process has ended already, or the system is Windows, which cannot send SIGTERM:
		// then the end of its standard input asks it to end.
		stdin.Close()
	}
	f.stats[fn+" "+sig.String()]++
	f.Mu.Unlock()
	// A process that ignores SIGTERM is killed, so that End always returns.
	killTimer := time.AfterFunc(shutdownTimeout, func() {
		f.Mu.Lock()
		defer f.Mu.Unlock()
		select {
		case <-exited:
			return
		default:
		}
		f.Calls.MarkKilled(x)
		_ = cmd.Process.Kill()
		f.stats[fn+" killed after the shutdown time-out"]++
	})
	<-exited
	killTimer.Stop()
	stdin.Close()
	f.Mu.Lock()
	defer f.Mu.Unlock()
	x.exited, x.proxy, x.Command = nil, nil, nil
}

// Close ends every process.
func (f *Fleet) Close() {
	f.Mu.Lock()
	f.closed = true
	f.Mu.Unlock()
	f.restarts.Wait()
	var all sync.WaitGroup
	for _, x := range f.All {
		all.Go(func() { f.End(x, syscall.SIGTERM) })
	}
	all.Wait()
}

// Counts returns how often each thing was done to processes.
func (f *Fleet) Counts() map[string]int {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return maps.Clone(f.stats)
}

// pickInstance returns the next instance that is up, with the number and the proxy of its
// process. The proxy is nil if no instance is up.
func (f *Fleet) pickInstance(fn string) (*Instance, int, *httputil.ReverseProxy) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.turn++
	list := f.ByFunction[fn]
	for i := range list {
		x := list[(f.turn+i)%len(list)]
		if x.exited != nil && !x.stopping {
			return x, x.Starts, x.proxy
		}
	}
	return nil, 0, nil
}

// Handler returns the handler of the function's address, which does not change when
// processes do.
func (f *Fleet) Handler(fn string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), f.timeout)
		defer cancel()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the request body did not arrive completely", http.StatusBadRequest)
			return
		}

		x, start, p := f.pickInstance(fn)
		if p == nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "no instance is up", http.StatusServiceUnavailable)
			return
		}

		broken := false
		if fn == "deliver" {
			ended := f.Calls.Begin(x, start, parseBatchRef(body))
			defer func() { ended(broken && f.hasCrashed(x, start)) }()
		}

		r = r.WithContext(context.WithValue(ctx, brokenKey{}, &broken))
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		p.ServeHTTP(w, r)
	})
}

// MessageBatch is the batch id of a message to one customer in the CallLog. Such a message
// has no batch document.
const MessageBatch = "message"

// parseBatchRef returns the batch that a push request to deliver names. A message to one
// customer gets MessageBatch as its batch.
func parseBatchRef(body []byte) (ref push.BatchRef) {
	var p struct{ Message struct{ Data []byte } }
	if json.Unmarshal(body, &p) != nil {
		return ref
	}
	var m push.MessageRef
	if json.Unmarshal(p.Message.Data, &m) == nil && m.Message != "" {
		return push.BatchRef{Mailing: m.Message, Batch: MessageBatch}
	}
	_ = json.Unmarshal(p.Message.Data, &ref) // ref stays empty if the data is not a batch
	return ref
}

// PeakMemory returns the most memory that a process of each function has used, in
// MiB. It is empty on a system without /proc.
func (f *Fleet) PeakMemory() map[string]int64 {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	out := map[string]int64{}
	for _, x := range f.All {
		if x.Command == nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.Command.Process.Pid))
		if err != nil {
			continue
		}
		var kib int64
		if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &kib) // on an error kib stays 0, which is not listed
		}
		if mib := kib / 1024; mib > out[x.Function] {
			out[x.Function] = mib
		}
	}

	return out
}

// LogWriter returns the writer for the logs of the processes. On a terminal it makes
// the lines readable.
func LogWriter() io.Writer {
	if !progress.IsTerminal(os.Stderr) {
		return os.Stderr
	}
	r, w := io.Pipe()
	go progress.CopyReadable(os.Stderr, r)
	return w
}
