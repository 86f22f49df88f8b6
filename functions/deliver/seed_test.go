package deliver

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// sourceBodies are the two answers that the source document prints, inside
// braces, and one that has nothing but the status.
var sourceBodies = map[string]struct {
	http int
	body string
	want string
}{
	"INVALID_ARGUMENT": {400, `{ "error": {
"code": 400,
"message": "The registration token is not a valid FCM registration token",
"status": "INVALID_ARGUMENT",
"details": [
{
"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
"errorCode": "INVALID_ARGUMENT"
}
]
}}`, push.CodeInvalidArgument},
	"UNREGISTERED": {404, `{ "error": {
"code": 404,
"message": "Requested entity was not found.",
"status": "UNREGISTERED",
"details": [
{
"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
"errorCode": "UNREGISTERED"
}
]
}}`, push.CodeUnregistered},
	"status alone": {400, `{"error":{"code":400,"message":"Request contains an invalid argument.","status":"INVALID_ARGUMENT"}}`, push.CodeInvalidArgument},
}

// tooLargeForTopics is FCM's answer to a topic above the documented limit.
const tooLargeForTopics = `{"error":{"code":400,"message":"Message is too large. The maximum is 2K (2048 bytes).","status":"INVALID_ARGUMENT",
"details":[{"@type":"type.googleapis.com/google.rpc.BadRequest"},{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"INVALID_ARGUMENT"}]}}`

// literal is an FCM that gives one token an answer to the letter, and takes as
// much for a topic as is documented.
func literal(t *testing.T, token string, code int, body string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Message json.RawMessage }
		var to struct{ Token, Topic string }
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal(req.Message, &to); err != nil {
			t.Error(err)
		}
		switch {
		case to.Token == token:
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		case to.Topic != "" && len(req.Message) > topicSize:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, tooLargeForTopics)
		default:
			fmt.Fprint(w, `{"name":"projects/p/messages/1"}`)
		}
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + l.Addr().String()
}

// TestDocumentedAnswersFlagTheToken: to the letter, whatever the payload, alone
// and among a thousand. Nothing about the payload is known when it begins.
func TestDocumentedAnswersFlagTheToken(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("A long text. ", 200)
	for name, source := range sourceBodies {
		for kind, message := range map[string]string{
			"plain":               `{"notification":{"title":"Sale"}}`,
			"personal":            `{"notification":{"title":"Hello {{ customer.id }}"}}`,
			"large":               fmt.Sprintf(`{"notification":{"title":"Sale","body":%q}}`, long),
			"personal and large":  fmt.Sprintf(`{"notification":{"title":"Hello {{ customer.id }}","body":%q}}`, long),
			"large in many parts": `{"data":{` + manyParts(30) + `}}`,
		} {
			for _, among := range []int{0, push.MaxBatch - 1} {
				if among > 0 && (kind == "personal and large" || kind == "large in many parts") {
					continue // the large ones among a thousand are sent once
				}
				t.Run(fmt.Sprintf("%s/%s/among %d", name, kind, among), func(t *testing.T) {
					t.Parallel()
					w := newBatchHarness(t, phones.Options{})
					sender, err := fcm.New(t.Context(), fcm.Config{
						Project: "p", Endpoint: literal(t, "bad-token", source.http, source.body), QuotaPerMinute: 1_000_000_000, MaxInstances: 1,
					})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { sender.Close() })
					w.deps.Sender, w.deps.CallTimeout = sender, 5*time.Minute // a slow machine may take its time
					w.d = newDeliverer(w.deps)

					w.deliver(w.batch("m", message, append(names("good", among), "bad-token")...))
					if got := w.invalid("bad-token"); got != source.want {
						t.Errorf("flagged %q, want %q", got, source.want)
					}
					m, totals := w.totals("m")
					if totals.Accepted != int64(among) {
						t.Errorf("accepted %d, want %d: %s %+v", totals.Accepted, among, m.State, totals)
					}
				})
			}
		}
	}
}

// manyParts are members of data, each too short to be cut.
func manyParts(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(`"key%02d":%q`, i, strings.Repeat("x", 70))
	}
	return strings.Join(parts, ",")
}

// batch records an unproven mailing with that message and one batch, a customer
// a token. Only the last token's customer is registered: nobody looks at the
// others.
func (w *batchHarness) batch(id, message string, tokens ...string) push.BatchRef {
	w.t.Helper()
	last := tokens[len(tokens)-1]
	w.register("c-"+last, last)
	var targets []push.Target
	for _, token := range tokens {
		targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android})
	}
	d := push.Draft{Message: json.RawMessage(message), Audience: push.Audience{Everyone: true}}
	return w.record(id, false, d, targets)
}

// TestNamedTokensAreFlaggedWhateverOthersSay: one answer that names nothing does
// not take the others' blame away.
func TestNamedTokensAreFlaggedWhateverOthersSay(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("t-token-*", "INVALID_TOKEN")
	w.phones.SetOutcome("t-token-0000", "INVALID_TOKEN_BARE")
	tokens := names("t", 10)
	ref := w.mailing("m", false, tokens...)
	w.deps.Sender = odd{sender: w.deps.Sender, proof: refusedTopic}
	w.d = newDeliverer(w.deps)
	w.deliver(ref)
	for _, token := range tokens[1:] {
		if got := w.invalid(token); got != push.CodeInvalidArgument {
			t.Errorf("token %s, which FCM names, is flagged %q, want %q", token, got, push.CodeInvalidArgument)
		}
	}
	if got := w.invalid(tokens[0]); got != "" {
		t.Errorf("the token that FCM does not name is flagged %q, and nobody knows whether the payload is good", got)
	}
}
