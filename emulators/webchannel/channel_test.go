package webchannel_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/emulators/webchannel"
)

func TestMessagesOfBothDirections(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0, 7, 8))
		check.Equal(w, s.method, "/google.firestore.v1.Firestore/Listen", "method of the stream")
		check.Equal(w, s.requests, []string{"7", "8"}, "messages that came with the request that opens the channel")

		s.offer(change(1))
		b := w.back(id, 0, "CI=0")
		check.Equal(w, w.got(b), []string{"1 1"}, "messages that waited for the back channel")
		s.offer(change(2))
		check.Equal(w, w.got(b), []string{"1 1", "2 2"}, "messages after the next one")

		answer := w.ask("POST", "RID=2&AID=1&SID="+id, messages(2, 9))
		check.Equal(w, s.requests, []string{"7", "8", "9"}, "messages after those of the forward channel")
		check.Equal(w, answer.Body.String(), "8\n[1,2,40]", "answer: a back channel is open, the last message, bytes that are not confirmed")
		check.Equal(w, b.isOpen(), true, "that the back channel is open")
	})
}

func TestLostBackChannel(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0))
		first := w.back(id, 0, "CI=0")
		s.offer(change(1))
		s.offer(change(2))
		first.hangUp()
		s.offer(change(3))

		second := w.back(id, 1, "CI=0")
		check.Equal(w, w.got(second), []string{"2 1", "3 2", "4 3"}, "messages that the client does not have")
		third := w.back(id, 3, "CI=0")
		check.Equal(w, w.got(third), []string{"4 3"}, "messages after it has confirmed one more")
		check.Equal(w, second.isOpen(), false, "that the back channel before is open")
	})
}

func TestForwardedMessagesKeepTheirOrder(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0, 1))
		late := make(chan int)
		go func() { late <- w.ask("POST", "RID=3&AID=0&SID="+id, messages(2, 3)).Code }()
		synctest.Wait()
		check.Equal(w, s.requests, []string{"1"}, "messages while one is missing")

		w.ask("POST", "RID=2&AID=0&SID="+id, messages(1, 2))
		check.Equal(w, <-late, http.StatusOK, "status of the request that came too early")
		check.Equal(w, s.requests, []string{"1", "2", "3"}, "messages after the missing one")

		w.ask("POST", "RID=2&AID=0&SID="+id, messages(0, 1, 2, 3, 4))
		check.Equal(w, s.requests, []string{"1", "2", "3", "4"}, "messages after a request that repeats three of them")

		// Of three messages the one in the middle has arrived with another request.
		w.ask("POST", "RID=4&AID=0&SID="+id, messages(4, 5, 6))
		w.ask("POST", "RID=5&AID=0&SID="+id, "count=2&ofs=4&req0___data__="+url.QueryEscape(`{"removeTarget":5}`)+"&req2___data__="+url.QueryEscape(`{"removeTarget":7}`))
		check.Equal(w, s.requests, []string{"1", "2", "3", "4", "5", "6", "7"}, "messages after a request with a gap")
	})
}

func TestAMessageThatIsMissingIsNamed(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0, 1))
		answer := w.ask("POST", "RID=2&AID=0&SID="+id, messages(5, 6))
		check.Equal(w, answer.Code, http.StatusBadRequest, "status")
		check.Contains(w, answer.Body.String(), "message 5: a message before it has not come", "answer")
		check.Equal(w, s.requests, []string{"1"}, "messages")
	})
}

func TestCredentialsOfTheStream(t *testing.T) {
	lines := url.QueryEscape("X-Goog-Api-Client:gl-js/\r\nAuthorization:Bearer ada\r\n")
	for name, x := range map[string]struct {
		query, body string
		want        []string
	}{
		"in the body":      {"", "headers=" + lines + "&" + messages(0, 1), []string{"Bearer ada"}},
		"in the address":   {"&$httpHeaders=" + lines, messages(0, 1), []string{"Bearer ada"}},
		"no credentials":   {"", messages(0, 1), nil},
		"other headers":    {"", "headers=" + url.QueryEscape("a:b") + "&" + messages(0, 1), nil},
		"nothing but them": {"", "headers=" + lines, []string{"Bearer ada"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, webchannel.Options{}, func(w *world) {
				w.ask("POST", "RID=1&CVER=22"+x.query, x.body)
				check.Equal(w, w.service.streams[0].authorization(), x.want, "credentials of the stream")
			})
		})
	}
}

func TestEndsOfAStream(t *testing.T) {
	for name, x := range map[string]struct {
		err  error
		want string
	}{
		"an error": {status.Error(codes.PermissionDenied, "no"), "1 PERMISSION_DENIED"},
		"no error": {io.EOF, "1 close"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, webchannel.Options{}, func(w *world) {
				id, s := w.open(messages(0, 1))
				s.offer(x.err)
				b := w.back(id, 0, "CI=0")
				check.Equal(w, w.got(b), []string{x.want}, "messages")
				check.Equal(w, b.isOpen(), true, "that the back channel is open: the client ends the channel")
				check.Equal(w, s.ctx.Err() != nil, true, "that the stream has ended")

				w.ask("POST", "TYPE=terminate&SID="+id, "")
				check.Equal(w, b.isOpen(), false, "that the back channel is open after the channel was ended")
			})
		})
	}
}

func TestAMessageOfAnotherForm(t *testing.T) {
	for name, message := range map[string]string{"no JSON": "{nope", "an unknown field": `{"remove":1}`, "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, webchannel.Options{}, func(w *world) {
				id, s := w.open(messages(0, 1))
				answer := w.ask("POST", "RID=2&AID=0&SID="+id, "count=1&ofs=1&req0___data__="+url.QueryEscape(message))
				check.Equal(w, answer.Code, http.StatusOK, "status")
				check.Equal(w, w.got(w.back(id, 0, "CI=0")), []string{"1 INVALID_ARGUMENT"}, "messages")
				check.Equal(w, s.ctx.Err() != nil, true, "that the stream has ended")
			})
		})
	}
}

func TestTerminate(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			inBubble(t, webchannel.Options{}, func(w *world) {
				id, s := w.open(messages(0, 1))
				b := w.back(id, 0, "CI=0")
				answer := w.ask(method, "TYPE=terminate&RID=9&SID="+id, "")
				check.Equal(w, answer.Code, http.StatusOK, "status")
				check.Equal(w, b.isOpen(), false, "that the back channel is open")
				check.Equal(w, s.ctx.Err() != nil, true, "that the stream has ended")

				answer = w.ask("POST", "RID=2&AID=0&SID="+id, messages(1, 2))
				check.Equal(w, answer.Code, http.StatusBadRequest, "status of a request after it")
				check.Contains(w, answer.Body.String(), "Unknown SID", "answer to a request after it")
			})
		})
	}
}

func TestBadRequests(t *testing.T) {
	for name, x := range map[string]struct {
		method, address, body string
		code                  int
		want                  string // part of the answer
	}{
		"another method of the service": {"POST", "/google.firestore.v1.Firestore/Commit/channel?VER=8", "", 404, "no method with two streams"},
		"another verb":                  {"PUT", listen + "?VER=8", "", 405, "GET and POST only"},
		"no version":                    {"POST", listen, "", 400, `VER is ""`},
		"another version":               {"POST", listen + "?VER=9", "", 400, `VER is "9"`},
		"an unknown channel":            {"GET", listen + "?VER=8&SID=x&AID=0", "", 400, "Unknown SID"},
		"a GET without a channel":       {"GET", listen + "?VER=8&AID=0", "", 400, "Unknown SID"},
		"a channel of another method":   {"GET", "/google.firestore.v1.Firestore/Write/channel?VER=8&AID=0&SID=ID", "", 400, "Unknown SID"},
		"a back channel without AID":    {"GET", listen + "?VER=8&SID=ID", "", 400, "AID is missing"},
		"an AID that was not sent":      {"GET", listen + "?VER=8&AID=5&SID=ID", "", 400, "AID is 5"},
		"an AID that is no number":      {"GET", listen + "?VER=8&AID=x&SID=ID", "", 400, "AID is"},
		"a TO that is no number":        {"GET", listen + "?VER=8&AID=0&TO=-1&SID=ID", "", 400, "TO is"},
		"a forward channel without AID": {"POST", listen + "?VER=8&SID=ID", messages(1, 2), 400, "AID is missing"},
		"no parameters":                 {"POST", listen + "?VER=8", "%zz", 400, "no list of parameters"},
		"a count that is no number":     {"POST", listen + "?VER=8", "count=x", 400, "count is"},
		"a count that is too large":     {"POST", listen + "?VER=8", "count=1001", 400, "count is"},
		"an offset below zero":          {"POST", listen + "?VER=8", "count=0&ofs=-1", 400, "ofs is"},
		"fewer messages than count":     {"POST", listen + "?VER=8", "count=2&req0___data__={}", 400, "has 1 messages, and count is 2"},
		"a message without a number":    {"POST", listen + "?VER=8", "count=1&reqx___data__={}", 400, "has no number"},
		"two messages with a number":    {"POST", listen + "?VER=8", "count=2&req1___data__={}&req01___data__={}", 400, "two messages have the number 1"},
		"a message of another kind":     {"POST", listen + "?VER=8", "count=1&req0_type=_badmap", 400, "is no message"},
		"a header without a value":      {"POST", listen + "?VER=8", "headers=abc&count=0", 400, "has no value"},
		"a body that is too large":      {"POST", listen + "?VER=8", messages(0, make([]int, 50)...), 400, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, webchannel.Options{MaxBody: 1000}, func(w *world) {
				id, s := w.open(messages(0, 1))
				answer := w.askAt(strings.ReplaceAll(x.address, "SID=ID", "SID="+id), x.method, x.body)
				check.Equal(w, answer.Code, x.code, "status")
				check.Contains(w, answer.Body.String(), x.want, "answer")
				check.Equal(w, len(w.service.streams), 1, "streams that were opened")
				check.Equal(w, s.requests, []string{"1"}, "messages to the stream")
			})
		})
	}
}
