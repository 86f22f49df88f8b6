package webchannel

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxMessages = 1000    // messages of one request, as clients limit it
	maxNumber   = 1 << 53 // the largest number that clients count exactly
)

// An incoming message is one to the service, with its number. Numbers begin at 0.
type incoming struct {
	number int64
	json   string
}

// A forward is the body of a request of the forward channel, or of the one that opens a
// channel.
type forward struct {
	headers  map[string]string // of the stream; only in the request that opens it; names are in lower case
	messages []incoming        // by number
}

// decodeForward reads a body: parameters in the form of a query. ofs is the number of a
// message, reqN___data__ the message with the number ofs+N, and count how many there are.
func decodeForward(body string) (f forward, err error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return f, fmt.Errorf("the body is no list of parameters: %w", err)
	}
	count, err := numberOf(values, "count", maxMessages)
	if err != nil {
		return f, err
	}
	offset, err := numberOf(values, "ofs", maxNumber)
	if err != nil {
		return f, err
	}
	if f.headers, err = decodeHeaders(values.Get("headers")); err != nil {
		return f, err
	}

	for name, value := range values {
		index, ok := strings.CutPrefix(name, "req")
		if !ok {
			continue
		}
		index, ok = strings.CutSuffix(index, "___data__")
		if !ok {
			return f, fmt.Errorf("the parameter %.50q is no message: it does not end with ___data__", name)
		}
		n, err := strconv.ParseUint(index, 10, 31)
		if err != nil {
			return f, fmt.Errorf("the parameter %.50q has no number", name)
		}
		f.messages = append(f.messages, incoming{offset + int64(n), value[0]})
	}

	slices.SortFunc(f.messages, func(a, b incoming) int { return cmp.Compare(a.number, b.number) })
	if int64(len(f.messages)) != count {
		return f, fmt.Errorf("the body has %d messages, and count is %d", len(f.messages), count)
	}
	for i := 1; i < len(f.messages); i++ {
		if f.messages[i].number == f.messages[i-1].number {
			return f, fmt.Errorf("two messages have the number %d", f.messages[i].number)
		}
	}
	return f, nil
}

// numberOf returns a parameter that is a number from 0 to most. Without it the number is 0.
func numberOf(values url.Values, name string, most int64) (int64, error) {
	text := cmp.Or(values.Get(name), "0")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s is %.50q: it has to be a number from 0 to %d", name, text, most)
	}
	return n, nil
}

// decodeHeaders reads headers that are written one a line, as in HTTP/1.1. A web page puts
// them there because headers of its own would make the browser send a preflight request.
func decodeHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("the header %.20q has no value", line)
		}
		headers[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return headers, nil
}
