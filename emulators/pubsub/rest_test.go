package pubsub_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/pubsub"
	"carillon.example/emulators/testcloud/check"
)

// TestMessagesOverHTTP: topics, subscriptions and messages in the REST form of the service.
func TestMessagesOverHTTP(t *testing.T) {
	t.Parallel()
	s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	call := func(method, path, body string) (int, map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr()+"/v1/projects/p/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		answer := map[string]any{}
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s %s was answered %d %q, want JSON: %v", method, path, a.StatusCode, text, err)
		}
		return a.StatusCode, answer
	}

	code, topic := call("PUT", "topics/orders", "{}")
	check.Equal(t, code, 200, "status of the topic")
	check.Equal(t, topic["name"], any("projects/p/topics/orders"), "name of the topic")
	code, _ = call("PUT", "topics/orders", "{}")
	check.Equal(t, code, 409, "status of the same topic again")
	code, _ = call("PUT", "subscriptions/stock", `{"topic": "projects/p/topics/orders", "ackDeadlineSeconds": 20}`)
	check.Equal(t, code, 200, "status of the subscription")

	_, published := call("POST", "topics/orders:publish", `{"messages": [{"data": "aGVsbG8=", "attributes": {"shop": "1"}}]}`)
	ids, _ := published["messageIds"].([]any)
	check.Equal(t, len(ids), 1, "number of message ids")
	_, pulled := call("POST", "subscriptions/stock:pull", `{"maxMessages": 5}`)
	messages, _ := pulled["receivedMessages"].([]any)
	if len(messages) != 1 {
		t.Fatalf("the pull was answered %v, want one message", pulled)
	}
	received, _ := messages[0].(map[string]any)
	message, _ := received["message"].(map[string]any)
	check.Equal(t, message["data"], any("aGVsbG8="), "data of the message")
	check.Equal(t, message["attributes"], any(map[string]any{"shop": "1"}), "attributes of the message")
	ack, _ := received["ackId"].(string)
	code, _ = call("POST", "subscriptions/stock:acknowledge", `{"ackIds": ["`+ack+`"]}`)
	check.Equal(t, code, 200, "status of the acknowledgement")

	_, list := call("GET", "topics?pageSize=10", "")
	topics, _ := list["topics"].([]any)
	check.Equal(t, len(topics), 1, "number of topics")
	code, missing := call("GET", "topics/nowhere", "")
	check.Equal(t, code, 404, "status of a missing topic (%v)", missing)
}
