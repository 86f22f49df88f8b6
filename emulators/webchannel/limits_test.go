package webchannel_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/emulators/webchannel"
)

func TestLongPollingEndsWithItsFirstPart(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0))
		b := w.back(id, 0, "CI=1")
		check.Equal(w, b.isOpen(), true, "that it waits for a message")
		s.offer(change(1))
		check.Equal(w, b.isOpen(), false, "that it is open after a message")
		check.Equal(w, w.got(b), []string{"1 1"}, "messages")

		b = w.back(id, 1, "CI=1&TO=5000")
		time.Sleep(4900 * time.Millisecond)
		check.Equal(w, b.isOpen(), true, "that it waits until the time that the client wants")
		time.Sleep(200 * time.Millisecond)
		check.Equal(w, b.isOpen(), false, "that it is open after that time")
		check.Equal(w, w.got(b), []string{"2 noop"}, "messages when there is none")
	})
}

func TestSignsOfLife(t *testing.T) {
	inBubble(t, webchannel.Options{KeepAlive: 10 * time.Second}, func(w *world) {
		id, s := w.open(messages(0))
		b := w.back(id, 0, "CI=0")
		check.Equal(w, w.got(b), []string{"1 noop"}, "messages at once: clients measure whether something delays them")
		time.Sleep(9 * time.Second)
		s.offer(change(1))
		time.Sleep(9 * time.Second)
		check.Equal(w, w.got(b), []string{"1 noop", "2 1"}, "messages within the time after the last one")
		time.Sleep(time.Second)
		check.Equal(w, w.got(b), []string{"1 noop", "2 1", "3 noop"}, "messages after it")
	})
}

func TestAChannelWithoutAClientEnds(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0))
		b := w.back(id, 0, "CI=0")
		time.Sleep(10 * time.Minute)
		check.Equal(w, s.ctx.Err(), nil, "end of the stream of a client with a back channel")

		b.hangUp()
		time.Sleep(59 * time.Second)
		w.ask("POST", "RID=2&AID=0&SID="+id, messages(0))
		time.Sleep(59 * time.Second)
		check.Equal(w, s.ctx.Err(), nil, "end of the stream of a client that sends messages")
		time.Sleep(2 * time.Second)
		check.Equal(w, s.ctx.Err() != nil, true, "that the stream has ended a minute after the last request")
		check.Contains(w, w.ask("GET", "AID=0&SID="+id, "").Body.String(), "Unknown SID", "answer to a request after it")
	})
}

// TestMessagesThatWaitAreLimited checks that a channel stops reading its stream, and that it
// goes on, without a loss, when its client has come back.
func TestMessagesThatWaitAreLimited(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0))
		large := &pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentRemove{DocumentRemove: &pb.DocumentRemove{Document: strings.Repeat("x", 100_000)}}}
		taken := 0
		for taken < 100 && s.offer(large) {
			taken++
		}
		check.MustEqual(w, taken, 12, "responses of 100 kB that are taken without a client: 1 MiB, and one that waits for room")

		received, responses, opened := 0, 0, 0
		for responses < 30 {
			opened++
			b := w.back(id, received, "CI=0")
			for b.isOpen() && s.offer(large) {
				taken++
			}
			check.Equal(w, b.isOpen(), false, "that the back channel is open after 1 MiB, with which the client has to confirm")
			check.Between(w, len(b.written()), 1, 1_500_000, "bytes of a back channel")
			for _, m := range w.got(b) {
				received++
				if !strings.HasSuffix(m, " noop") {
					responses++
				}
			}
			b.hangUp()
			synctest.Wait()
		}
		check.Between(w, opened, 2, 5, "back channels for 3 MB")
		check.Between(w, taken-responses, 0, 12, "responses that the client has not got yet")
	})
}

func TestChannelsAreLimited(t *testing.T) {
	inBubble(t, webchannel.Options{MaxSessions: 2}, func(w *world) {
		id, _ := w.open(messages(0))
		w.open(messages(0))
		answer := w.ask("POST", "RID=1", messages(0))
		check.Equal(w, answer.Code, http.StatusServiceUnavailable, "status of a third channel")
		check.Contains(w, answer.Body.String(), "there are 2 channels already", "answer")
		check.Equal(w, w.service.streams[2].ctx.Err() != nil, true, "that its stream has ended")

		w.ask("POST", "TYPE=terminate&SID="+id, "")
		w.open(messages(0))
	})
}

func TestClose(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		id, s := w.open(messages(0))
		b := w.back(id, 0, "CI=0")
		w.handler.Close()
		check.Equal(w, b.isOpen(), false, "that the back channel is open")
		check.Equal(w, s.ctx.Err() != nil, true, "that the stream has ended")
		answer := w.ask("POST", "RID=1", messages(0))
		check.Equal(w, answer.Code, http.StatusServiceUnavailable, "status of a new channel")
		check.Contains(w, answer.Body.String(), "is being stopped", "answer")
	})
}

func TestAStreamThatCannotBeOpened(t *testing.T) {
	inBubble(t, webchannel.Options{}, func(w *world) {
		w.service.down = errors.New("connection refused")
		answer := w.ask("POST", "RID=1", messages(0))
		check.Equal(w, answer.Code, http.StatusServiceUnavailable, "status")
		check.Contains(w, answer.Body.String(), "connection refused", "answer")
	})
}

// TestAClientThatDoesNotRead checks that a write to a client that does not read ends, and its
// channel afterwards. The message is larger than the buffers of a connection.
func TestAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s := &service{}
	h, err := webchannel.New(s, webchannel.Options{KeepAlive: 100 * time.Millisecond, Idle: 100 * time.Millisecond}, pb.File_google_firestore_v1_firestore_proto.Services().ByName("Firestore"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	site := testcloud.Serve(t, h)
	w := &world{t, h, s}
	id, st := w.open(messages(0))

	address := strings.TrimPrefix(site.URL, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s?VER=8&RID=rpc&CI=0&AID=0&SID=%s HTTP/1.1\r\nHost: %s\r\n\r\n", listen, id, address)
	if _, err := conn.Read(make([]byte, 1)); err != nil { // the back channel is open
		t.Fatal(err)
	}
	st.responses <- &pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentRemove{DocumentRemove: &pb.DocumentRemove{Document: strings.Repeat("x", 30<<20)}}}
	select {
	case <-st.ctx.Done():
	case <-time.After(time.Minute):
		t.Error("the stream has not ended a minute after its client stopped reading")
	}
}
