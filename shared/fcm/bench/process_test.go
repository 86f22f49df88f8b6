package bench

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary runs itself again as responder and as client; these say so.
const (
	roleVar = "CARILLON_BENCH_ROLE"
	jobVar  = "CARILLON_BENCH_JOB"
	certVar = "CARILLON_BENCH_CERT"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "responder":
		respond()
	case "client":
		client()
	default:
		os.Exit(m.Run())
	}
}

// respond serves until its input ends. Each line of input is a setting; it is
// answered with the counts since the one before.
func respond() {
	cert, err := tls.LoadX509KeyPair(os.Getenv(certVar), os.Getenv(certVar))
	if err != nil {
		panic(err)
	}
	l, err := listen(cert)
	if err != nil {
		panic(err)
	}
	r := serve(l)
	fmt.Println(l.Addr())
	in := json.NewDecoder(os.Stdin)
	for {
		var s setting
		if in.Decode(&s) != nil {
			return
		}
		c := counts{Connections: r.dialled.Swap(0), Answers: r.answers.Swap(0), CPU: cpu()}
		r.latency.Store(int64(s.Latency))
		r.unlucky.Store(s.Unlucky)
		b, _ := json.Marshal(c) // plain numbers
		fmt.Println(string(b))
	}
}

type setting struct {
	Latency time.Duration
	Unlucky int64
}

type counts struct {
	Connections, Answers int64
	CPU                  float64 // seconds since the process began
}

// cpu is how many seconds of CPU this process has used.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// far is a responder in another process.
type far struct {
	addr string
	cert string
	in   io.WriteCloser
	out  *bufio.Reader
}

func startResponder(b testing.TB) *far {
	b.Helper()
	f := &far{cert: writeCert(b)}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=responder", certVar+"="+f.cert, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	var err error
	if f.in, err = cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	f.out = bufio.NewReader(out)
	b.Cleanup(func() { f.in.Close(); cmd.Wait() })
	line, err := f.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	f.addr = strings.TrimSpace(line)
	return f
}

// set changes the setting and returns the counts up to now.
func (f *far) set(b testing.TB, s setting) (c counts) {
	b.Helper()
	if err := json.NewEncoder(f.in).Encode(s); err != nil {
		b.Fatal(err)
	}
	line, err := f.out.ReadBytes('\n')
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(line, &c); err != nil {
		b.Fatal(err)
	}
	return c
}

// writeCert makes a certificate for 127.0.0.1; certificate and key are in one
// file, which clients take as their only authority (SSL_CERT_FILE).
func writeCert(b testing.TB) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: pk})
	path := filepath.Join(b.TempDir(), "cert.pem")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// A figure is what one client did.
type figure struct {
	Messages    int
	Failed      int
	Seconds     float64
	CPU         float64 // seconds
	Mallocs     uint64
	PeakMiB     float64
	Connections int64
}

func (f figure) rate() float64 { return float64(f.Messages) / f.Seconds }
func (f figure) cpu() float64  { return f.CPU / float64(f.Messages) * 1e5 }
func (f figure) mallocs() float64 {
	return float64(f.Mallocs) / float64(f.Messages)
}

// A task is what a client is to do.
type task struct {
	Client      string
	Addr        string
	Calls       int // side by side
	Connections int
	Warm, Run   time.Duration
}

// client runs a task and prints its figure.
func client() {
	var t task
	if err := json.Unmarshal([]byte(os.Getenv(jobVar)), &t); err != nil {
		panic(err)
	}
	m := &meter{}
	send := clients[t.Client](t, m)
	stop := time.Now().Add(t.Warm + t.Run)
	m.done.Go(func() {
		time.Sleep(t.Warm)
		m.begin()
		time.Sleep(t.Run)
		m.finish()
	})
	send(stop)
	m.figure.PeakMiB = peak()
	b, _ := json.Marshal(m.figure) // plain numbers
	fmt.Println(string(b))
}

// peak is the most memory the process has had, in MiB.
func peak() float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kb float64
	if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
		fmt.Sscan(rest, &kb)
	}
	return kb / 1024
}

// run runs a task in a process of its own with one CPU.
func (f *far) run(b testing.TB, t task, s setting) (got figure) {
	b.Helper()
	f.set(b, s)
	t.Addr = f.addr
	job, _ := json.Marshal(t) // plain values
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=client", jobVar+"="+string(job), "SSL_CERT_FILE="+f.cert, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v", t.Client, err)
	}
	if err := json.Unmarshal(out, &got); err != nil {
		b.Fatalf("%s: %v: %s", t.Client, err, out)
	}
	got.Connections = f.set(b, s).Connections
	return got
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
