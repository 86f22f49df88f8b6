package queue_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"carillon.example/shared/queue"
)

// A worker is the handler of a push subscription. What it returns becomes the answer to
// Pub/Sub.
func ExampleReceive() {
	worker := queue.Receive(func(_ context.Context, m queue.Message) queue.Reply {
		fmt.Printf("attempt %d at %s\n", m.Attempt, m.Data)
		if m.Attempt < 2 {
			return queue.Redeliver
		}
		return queue.Ack
	})
	for attempt := range 2 {
		body := fmt.Sprintf(`{"message":{"data":"aGVsbG8=","messageId":"17"},"deliveryAttempt":%d}`, attempt+1)
		w := httptest.NewRecorder()
		worker.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		fmt.Println(w.Code)
	}
	// Output:
	// attempt 1 at hello
	// 503
	// attempt 2 at hello
	// 204
}
