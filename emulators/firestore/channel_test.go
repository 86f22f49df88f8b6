package firestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/emulators/webchannel/webchanneltest"
)

// A channel is the client's side of WebChannel.
type channel struct {
	t        *testing.T
	host     string
	base     string // the address of the method
	database string
	id       string // SID
	request  int    // RID of the last request
	sent     int    // messages to the service
	received int    // the number of the last message of the service
	polling  bool   // each back channel ends after one part
	back     *bufio.Reader
	hangUp   context.CancelFunc // of the back channel
	waiting  []any              // messages that were read and not returned yet
}

// openChannel opens the channel of a method with its first message.
func openChannel(t *testing.T, method, message string) *channel {
	t.Helper()
	return openChannelAt(t, address(t), method, message)
}

// openChannelAt opens a channel of the server at host.
func openChannelAt(t *testing.T, host, method, message string) *channel {
	t.Helper()
	c := &channel{t: t, host: host, base: "http://" + host + "/google.firestore.v1.Firestore/" + method + "/channel", hangUp: func() {}}
	c.database = fmt.Sprintf("projects/demo-channel-%d-%d/databases/(default)", os.Getpid(), projects.Add(1))
	c.reopen(message)
	return c
}

// reopen opens another channel of the same method and database.
func (c *channel) reopen(message string) {
	c.t.Helper()
	c.hangUp()
	c.id, c.sent, c.received, c.back, c.waiting = "", 0, 0, nil, nil
	a := c.post(url.Values{"CVER": {"22"}}, "headers="+url.QueryEscape("Authorization: Bearer owner\r\n")+"&"+c.body(message))

	opened := value(a, 0, 1)
	check.Equal(c.t, value(opened, 0), any("c"), "first word of the answer")
	c.id, _ = value(opened, 1).(string)
	if c.id == "" {
		c.t.Fatalf("the channel was opened with %v, want an id", a)
	}
}

// in writes a message with the database of the channel for DB.
func (c *channel) in(message string) string { return strings.ReplaceAll(message, "DB", c.database) }

// body returns messages as the body of a request.
func (c *channel) body(messages ...string) string {
	out := fmt.Sprintf("count=%d&ofs=%d", len(messages), c.sent)
	for i, m := range messages {
		out += fmt.Sprintf("&req%d___data__=%s", i, url.QueryEscape(c.in(m)))
	}
	c.sent += len(messages)
	return out
}

// address returns the address of a request.
func (c *channel) address(parameters url.Values) string {
	q := url.Values{"VER": {"8"}, "database": {c.database}, "zx": {"random"}, "t": {"1"}}
	if c.id != "" {
		q.Set("SID", c.id)
		q.Set("AID", strconv.Itoa(c.received))
	}
	for name, v := range parameters {
		q[name] = v
	}
	return c.base + "?" + q.Encode()
}

// post sends a request with a body, and returns its answer.
func (c *channel) post(parameters url.Values, body string) any {
	c.t.Helper()
	c.request++
	parameters.Set("RID", strconv.Itoa(c.request))
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.address(parameters), strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Close = true // Google's emulator closes some connections after their answer, without saying so
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(a.Body)
		c.t.Fatalf("POST %v was answered %d %s", parameters, a.StatusCode, text)
	}
	out, err := webchanneltest.ReadPart(bufio.NewReader(a.Body))
	if err != nil && !errors.Is(err, io.EOF) { // a channel that ends has no answer
		c.t.Fatal(err)
	}
	return out
}

// send sends messages to the service, and returns the answer: whether there is a back
// channel, the number of the last message for it, and the bytes that are not confirmed.
func (c *channel) send(messages ...string) any {
	c.t.Helper()
	return c.post(url.Values{}, c.body(messages...))
}

// listen opens the back channel.
func (c *channel) listen() {
	c.t.Helper()
	c.hangUp()
	ctx, hangUp := context.WithTimeout(c.t.Context(), time.Minute)
	c.t.Cleanup(hangUp)
	c.hangUp = hangUp
	parameters := url.Values{"RID": {"rpc"}, "TYPE": {"xmlhttp"}, "CI": {"0"}}
	if c.polling {
		parameters.Set("CI", "1")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address(parameters), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Close = true // as above
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { a.Body.Close() })
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(a.Body)
		c.t.Fatalf("the back channel was answered %d %s", a.StatusCode, text)
	}
	c.back = bufio.NewReader(a.Body)
}

// next returns the next message of the service, without noop messages. It opens another back
// channel when one has ended.
func (c *channel) next() any {
	c.t.Helper()
	for {
		for len(c.waiting) > 0 {
			m := c.waiting[0]
			c.waiting = c.waiting[1:]
			number, _ := value(m, 0).(float64)
			check.Equal(c.t, int(number), c.received+1, "number of a message")
			c.received = int(number)
			if value(m, 1, 0) != any("noop") {
				return value(m, 1, 0)
			}
		}

		if c.back == nil {
			c.listen()
		}
		part, err := webchanneltest.ReadPart(c.back)
		switch {
		case errors.Is(err, io.EOF):
			c.back = nil
		case err != nil:
			c.t.Fatalf("the back channel: %v", err)
		default:
			c.waiting, _ = part.([]any)
		}
	}
}

// until returns the next message that has a value at a path.
func (c *channel) until(path ...any) any {
	c.t.Helper()
	for {
		m := c.next()
		if value(m, path...) != nil {
			return m
		}
		if value(m, "error") != nil {
			c.t.Fatalf("the stream ended with %v before a message with %v", m, path)
		}
	}
}

// write writes a document as another client does.
func (c *channel) write(path, fields string) {
	c.t.Helper()
	rest := &restClient{c.t, "http://" + c.host + "/v1/" + c.database + "/documents"}
	if code, answer := rest.call("PATCH", path, `{"fields": `+fields+`}`); code != http.StatusOK {
		c.t.Fatalf("writing %s was answered %d %v", path, code, answer)
	}
}

// cities is the target of a collection. It needs the id of the target.
const cities = `{"database": "DB", "addTarget": {"targetId": %d, "query": {"parent": "DB/documents", "structuredQuery": {"from": [{"collectionId": "cities"}]}}%s}}`

func TestAChannelListens(t *testing.T) {
	t.Parallel()
	c := openChannel(t, "Listen", fmt.Sprintf(cities, 2, ""))
	check.Equal(t, value(c.next(), "targetChange", "targetChangeType"), any("ADD"), "first message")
	check.Equal(t, value(c.until("targetChange", "resumeToken"), "targetChange", "targetChangeType"), any("CURRENT"), "message when all documents were sent")

	c.write("/cities/riga", `{"name": {"stringValue": "Rīga 😀"}}`)
	m := c.until("documentChange")
	check.Equal(t, value(m, "documentChange", "document", "name"), any(c.database+"/documents/cities/riga"), "document that was written")
	check.Equal(t, value(m, "documentChange", "document", "fields", "name", "stringValue"), any("Rīga 😀"), "its name")

	answer := c.send(`{"database": "DB", "removeTarget": 2}`)
	check.Equal(t, value(answer, 0), any(1.0), "that the answer says that there is a back channel")
	for {
		m := c.until("targetChange")
		if value(m, "targetChange", "targetChangeType") == any("REMOVE") {
			break
		}
	}

	c.send(fmt.Sprintf(cities, 4, ""))
	check.Equal(t, value(c.until("documentChange"), "documentChange", "targetIds", 0), any(4.0), "target of the document, after it was added again")
}

// TestAChannelLosesNothing checks that a client that lost its back channel gets what came
// meanwhile.
func TestAChannelLosesNothing(t *testing.T) {
	t.Parallel()
	c := openChannel(t, "Listen", fmt.Sprintf(cities, 2, ""))
	c.write("/cities/riga", `{"n": {"integerValue": "1"}}`)
	c.until("documentChange")
	c.hangUp()
	c.back = nil
	c.write("/cities/ogre", `{"n": {"integerValue": "2"}}`)
	m := c.until("documentChange")
	check.Equal(t, value(m, "documentChange", "document", "name"), any(c.database+"/documents/cities/ogre"), "document that was written meanwhile")
}

// TestATargetResumesInAnotherChannel checks that a client that lost its channel gets only what
// has changed. Google's emulator sends all documents again.
func TestATargetResumesInAnotherChannel(t *testing.T) {
	t.Parallel()
	c := openChannelAt(t, start(t, firestore.Options{}).Addr(), "Listen", fmt.Sprintf(cities, 2, ""))
	c.write("/cities/riga", `{"n": {"integerValue": "1"}}`)
	c.until("documentChange")
	token, _ := value(c.until("targetChange", "resumeToken"), "targetChange", "resumeToken").(string)
	c.post(url.Values{"TYPE": {"terminate"}}, "")

	c.write("/cities/valka", `{"n": {"integerValue": "3"}}`)
	c.reopen(fmt.Sprintf(cities, 2, `, "resumeToken": "`+token+`"`))
	m := c.until("documentChange")
	check.Equal(t, value(m, "documentChange", "document", "name"), any(c.database+"/documents/cities/valka"), "first document after the target was resumed")
}

func TestLongPolling(t *testing.T) {
	t.Parallel()
	c := openChannel(t, "Listen", fmt.Sprintf(cities, 2, ""))
	c.polling = true
	for i := range 5 {
		c.write("/cities/riga", fmt.Sprintf(`{"n": {"integerValue": "%d"}}`, i))
		for {
			m := c.until("documentChange")
			if value(m, "documentChange", "document", "fields", "n", "integerValue") == any(fmt.Sprint(i)) {
				break
			}
		}
	}
}

func TestAChannelWrites(t *testing.T) {
	t.Parallel()
	c := openChannel(t, "Write", `{"database": "DB"}`)
	token := func(m any) string {
		text, _ := value(m, "streamToken").(string)
		if text == "" {
			t.Fatalf("the message has no stream token: %v", m)
		}
		return text
	}
	write := `{"streamToken": %q, "writes": [{"update": {"name": "DB/documents/cities/riga", "fields": {"n": {"integerValue": "%d"}}}%s}]}`

	first := c.next()
	c.send(fmt.Sprintf(write, token(first), 1, ""))
	second := c.next()
	check.Equal(t, value(second, "writeResults", 0, "updateTime") != nil, true, "that the answer has the time of the write (%v)", second)
	rest := &restClient{t, "http://" + c.host + "/v1/" + c.database + "/documents"}
	_, got := rest.call("GET", "/cities/riga", "")
	check.Equal(t, value(got, "fields", "n", "integerValue"), any("1"), "the number that was written")

	c.send(fmt.Sprintf(write, token(second), 2, `, "currentDocument": {"exists": false}`))
	check.Equal(t, value(c.next(), "error", "status"), any("ALREADY_EXISTS"), "status of a write whose precondition fails")
}

// TestNegativeZeroOverAChannel checks that the sign of a zero is kept. Google's emulator stores
// 0 where JSON has -0.
func TestNegativeZeroOverAChannel(t *testing.T) {
	t.Parallel()
	c := openChannelAt(t, start(t, firestore.Options{}).Addr(), "Listen", fmt.Sprintf(cities, 2, ""))
	c.write("/cities/riga", `{"n": {"doubleValue": "-0"}}`)
	m := c.until("documentChange")
	n, _ := value(m, "documentChange", "document", "fields", "n", "doubleValue").(float64)
	check.Equal(t, math.Signbit(n), true, "that the zero is negative (%v)", m)
}

// TestPagesMayOpenChannels checks what the browser asks for: the SDK sends its requests with
// credentials, and looks for headers of the answer. Google's emulator allows every page.
func TestPagesMayOpenChannels(t *testing.T) {
	t.Parallel()
	site := testcloud.At(t, "http://"+start(t, firestore.Options{}).Addr())
	const path = "/google.firestore.v1.Firestore/Listen/channel?VER=8&RID=1&CVER=22"
	body := "count=1&ofs=0&req0___data__=" + url.QueryEscape(`{"database": "projects/p/databases/(default)"}`)

	ours := site.Ask("POST", path, body, "Origin", "http://localhost:3000")
	check.Equal(t, ours.Code, http.StatusOK, "status for a page of this machine")
	check.Equal(t, ours.Header.Get("Access-Control-Allow-Origin"), "http://localhost:3000", "origin that may read the answer")
	check.Equal(t, ours.Header.Get("Access-Control-Allow-Credentials"), "true", "that requests may have credentials")
	check.Contains(t, ours.Header.Get("Access-Control-Expose-Headers"), "X-HTTP-Session-Id", "headers that the page may read")

	other := site.Ask("POST", path, body, "Origin", "http://evil.example")
	check.Equal(t, other.Code, http.StatusForbidden, "status for a page of another site")
	check.Equal(t, other.Header.Get("Access-Control-Allow-Origin"), "", "origin that may read the answer")
}
