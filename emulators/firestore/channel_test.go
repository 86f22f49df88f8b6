package firestore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"carillon.example/emulators/testcloud/check"
)

// A channel is the client's side of WebChannel.
type channel struct {
	t        *testing.T
	base     string // the address of the method
	database string
	id       string // SID
	request  int    // RID of the last request
	sent     int    // messages to the service
	received int    // the number of the last message of the service
	back     *bufio.Reader
	hangUp   context.CancelFunc // of the back channel
	waiting  []any              // messages that were read and not returned yet
}

// openChannel opens the channel of a method with its first message.
func openChannel(t *testing.T, method, message string) *channel {
	t.Helper()
	addr := address(t)
	c := &channel{t: t, base: "http://" + addr + "/google.firestore.v1.Firestore/" + method + "/channel", hangUp: func() {}}
	c.database = fmt.Sprintf("projects/demo-channel-%d/databases/(default)", projects.Add(1))
	a := c.post(url.Values{"CVER": {"22"}}, "headers="+url.QueryEscape("Authorization: Bearer owner\r\n")+"&"+c.body(message))

	opened := value(a, 0, 1)
	check.Equal(t, value(opened, 0), any("c"), "first word of the answer")
	c.id, _ = value(opened, 1).(string)
	if c.id == "" {
		t.Fatalf("the channel was opened with %v, want an id", a)
	}
	return c
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
	a, err := http.Post(c.address(parameters), "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(a.Body)
		c.t.Fatalf("POST %v was answered %d %s", parameters, a.StatusCode, text)
	}
	out, err := readPart(bufio.NewReader(a.Body))
	if err != nil {
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
func (c *channel) listen(parameters url.Values) {
	c.t.Helper()
	c.hangUp()
	ctx, hangUp := context.WithTimeout(c.t.Context(), time.Minute)
	c.t.Cleanup(hangUp)
	c.hangUp = hangUp
	parameters.Set("RID", "rpc")
	parameters.Set("TYPE", "xmlhttp")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address(parameters), nil)
	if err != nil {
		c.t.Fatal(err)
	}
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

// next returns the next message of the service, without signs of life. It opens another back
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
			c.listen(url.Values{"CI": {"0"}})
		}
		part, err := readPart(c.back)
		switch {
		case err == io.EOF:
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
		if value(m, path...) != nil || value(m, "error") != nil {
			return m
		}
	}
}

// readPart reads one part of a response: the length of JSON as JavaScript counts it, and the
// JSON.
func readPart(r *bufio.Reader) (out any, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	length, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return nil, fmt.Errorf("the length of a part is %q", line)
	}
	var text strings.Builder
	for n := 0; n < length; {
		char, _, err := r.ReadRune()
		if err != nil {
			return nil, fmt.Errorf("after %d of %d characters: %w", n, length, err)
		}
		text.WriteRune(char)
		n += utf16.RuneLen(char)
	}
	if err := json.Unmarshal([]byte(text.String()), &out); err != nil {
		return nil, fmt.Errorf("the part %q: %w", text.String(), err)
	}
	return out, nil
}

