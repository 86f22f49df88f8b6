package fcm

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"carillon.example/shared/push"
)

// Config configures a Sender. Only Project is required.
type Config struct {
	Project    string    // of items that name none
	Projects   []Project // further ones
	Own        string    // that of our account; "": Project. See project.foreign
	Endpoint   string    // scheme and host; "": Google's. http: HTTP/2 without TLS (an emulator)
	ProofTopic string    // the topic payloads are proven against; "": carillon-proof

	// TokenSource gives the credentials; nil: the default ones of the process. They
	// are sent to Google's host only, whatever Endpoint is.
	TokenSource oauth2.TokenSource

	QuotaPerMinute int // messages a minute that a project may send; 0: 600,000
	MaxInstances   int // senders that may share the quota; 0: 10
	// Peers connects the senders of Project; nil: each uses an equal part of the
	// quota for MaxInstances.
	Peers Peers

	Connections    int           // smallest number, opened at the start; 0: 2
	MaxConnections int           // 0: 40
	Timeout        time.Duration // of a request; 0: 15 s. Google asks for at least 10 s
	Grace          time.Duration // time that requests under way get when their context ends; 0: 3 s

	Now func() time.Time // the clock of Item.Until and Answer.NotBefore; nil: time.Now
	TLS *tls.Config      // nil: the system's authorities

	dial func(ctx context.Context, network, address string) (net.Conn, error) // tests; nil: net.Dialer
}

// googleHost is the only host that gets our credentials.
const googleHost = "fcm.googleapis.com"

func (c Config) withDefaults() Config {
	c.Endpoint = strings.TrimSuffix(cmp.Or(c.Endpoint, "https://"+googleHost), "/")
	c.Own = cmp.Or(c.Own, c.Project)
	c.ProofTopic = cmp.Or(c.ProofTopic, "carillon-proof")
	c.QuotaPerMinute = cmp.Or(c.QuotaPerMinute, 600_000)
	c.MaxInstances = cmp.Or(c.MaxInstances, 10)
	c.Connections = cmp.Or(c.Connections, 2)
	c.MaxConnections = max(cmp.Or(c.MaxConnections, 40), c.Connections)
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.Grace = cmp.Or(c.Grace, 3*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.dial == nil {
		c.dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}

	return c
}

// endpoint is the server that messages are sent to.
type endpoint struct {
	url     *url.URL // without a path of a project
	address string   // host and port
	google  bool     // it gets our credentials
}

func (c Config) parseEndpoint() (endpoint, error) {
	if c.Project == "" {
		return endpoint{}, fmt.Errorf("fcm: no project")
	}

	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return endpoint{}, fmt.Errorf("fcm: endpoint: %w", err)
	}

	ports := map[string]string{"http": "80", "https": "443"}
	if ports[u.Scheme] == "" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return endpoint{}, fmt.Errorf("fcm: endpoint %q must be an address like https://%s", c.Endpoint, googleHost)
	}

	port := cmp.Or(u.Port(), ports[u.Scheme])
	t := endpoint{address: net.JoinHostPort(u.Hostname(), port),
		google: u.Scheme == "https" && strings.EqualFold(u.Hostname(), googleHost) && port == "443"}
	t.url = u
	return t, nil
}

// sendURL returns where messages of a project are sent.
func (t endpoint) sendURL(project string) string {
	return t.url.JoinPath("v1", "projects", project, "messages:send").String()
}

// An Item is one message to one target.
type Item struct {
	Message  *Message
	Customer string
	Target   string // the push token
	Project  string // whose token it is: one of the sender's; "": Config.Project
	Kind     push.Kind
	DryRun   bool      // FCM only validates
	Priority bool      // it goes before mailings: a message to one customer
	Until    time.Time // it is not sent after this time; zero: no end
}

// targetField returns the name of the target field in the message.
func (it *Item) targetField() string {
	if it.Kind == push.KindFID {
		return "fid"
	}
	return "token"
}
