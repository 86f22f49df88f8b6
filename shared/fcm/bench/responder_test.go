package bench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A responder answers every HTTP/2 request with what FCM answers to an accepted
// message, after a latency. It must not be what limits the clients: it reads
// frames without looking at headers, its answers are bytes made beforehand, and
// those due in the same millisecond go out in one write a connection.
type responder struct {
	listener net.Listener
	latency  atomic.Int64 // mean; the actual one is between half and one and a half of it
	unlucky  atomic.Int64 // every how many-th answer is a 503; 0: none
	dialled  atomic.Int64
	answers  atomic.Int64

	mu    sync.Mutex
	wheel [wheelSize][]due // a slot is a millisecond
	slot  int64            // done so far
}

const wheelSize = 512

// A due is an answer to be given.
type due struct {
	c      *peer
	stream uint32
}

// A peer is one client's connection.
type peer struct {
	net.Conn
	mu  sync.Mutex
	out []byte
}

func serve(l net.Listener) *responder {
	r := &responder{listener: l}
	go r.accept()
	go r.turn()
	return r
}

func (r *responder) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.dialled.Add(1)
		go r.read(&peer{Conn: c})
	}
}

// window is what a client may send without being told that it was read.
const window = 1 << 30

func (r *responder) read(p *peer) {
	defer p.Close()
	in := bufio.NewReaderSize(p, 64<<10)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(in, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	fr := http2.NewFramer(lockedWriter{p}, in)
	fr.SetReuseFrames()
	if errors.Join(fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}), fr.WriteWindowUpdate(0, window-65535)) != nil {
		return
	}
	got := 0
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = fr.WritePing(true, f.Data)
			}
		case *http2.DataFrame:
			if got += int(f.Length); got > window/2 {
				err = fr.WriteWindowUpdate(0, uint32(got))
				got = 0
			}
			if f.StreamEnded() {
				r.schedule(p, f.StreamID)
			}
		}
		if err != nil {
			return
		}
		if in.Buffered() == 0 {
			p.flush()
		}
	}
}

// lockedWriter is for the few frames that are no answers.
type lockedWriter struct{ p *peer }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.Conn.Write(b)
}

func (r *responder) schedule(p *peer, stream uint32) {
	mean := time.Duration(r.latency.Load())
	if mean == 0 {
		r.answer(p, stream)
		return
	}
	at := (time.Now().UnixNano() + int64(mean/2) + rand.Int64N(int64(mean))) / int64(time.Millisecond)
	r.mu.Lock()
	s := max(at, r.slot+1) % wheelSize
	r.wheel[s] = append(r.wheel[s], due{p, stream})
	r.mu.Unlock()
}

// turn gives the answers that have become due, millisecond by millisecond.
func (r *responder) turn() {
	r.mu.Lock()
	r.slot = time.Now().UnixMilli()
	r.mu.Unlock()
	var batch []due
	touched := map[*peer]bool{}
	for {
		time.Sleep(time.Millisecond)
		now := time.Now().UnixMilli()
		r.mu.Lock()
		for batch = batch[:0]; r.slot < now; r.slot++ {
			s := (r.slot + 1) % wheelSize
			batch = append(batch, r.wheel[s]...)
			r.wheel[s] = r.wheel[s][:0]
		}
		r.mu.Unlock()
		for _, d := range batch {
			r.answer(d.c, d.stream)
			touched[d.c] = true
		}
		for p := range touched {
			p.flush()
		}
		clear(touched)
	}
}

func (r *responder) answer(p *peer, stream uint32) {
	n := r.answers.Add(1)
	a := accepted
	if u := r.unlucky.Load(); u > 0 && n%u == 0 {
		a = unavailable
	}
	p.mu.Lock()
	at := len(p.out)
	p.out = append(p.out, a.frames...)
	put(p.out[at+5:], stream)
	put(p.out[at+a.second+5:], stream)
	p.mu.Unlock()
}

func put(b []byte, id uint32) {
	b[0], b[1], b[2], b[3] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
}

func (p *peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) > 0 {
		p.Conn.Write(p.out) // a client that has gone needs no answer
		p.out = p.out[:0]
	}
}

// frames are an answer's HEADERS and DATA; their stream ids are put in later.
type frames struct {
	frames []byte
	second int // where DATA begins
}

var (
	accepted    = compose("200", `{"name":"projects/bench/messages/0:1700000000000000%abcdef0123456789"}`)
	unavailable = compose("503", `{"error":{"code":503,"message":"The service is currently unavailable.","status":"UNAVAILABLE"}}`, "retry-after", "10")
)

// compose encodes headers without the dynamic table, so that the bytes are good
// for every connection.
func compose(status, body string, more ...string) frames {
	var block, out bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.SetMaxDynamicTableSize(0)
	fields := append([]string{":status", status, "content-type", "application/json; charset=UTF-8", "content-length", strconv.Itoa(len(body))}, more...)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: fields[i] != ":status"})
	}
	fr := http2.NewFramer(&out, nil)
	fr.AllowIllegalWrites = true
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	second := out.Len()
	fr.WriteData(1, true, []byte(body))
	return frames{bytes.Clone(out.Bytes()), second}
}

func listen(cert tls.Certificate) (net.Listener, error) {
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
}
