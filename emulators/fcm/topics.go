package fcm

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxTopicTokens is the largest number of tokens of one topic call.
const maxTopicTokens = 1000

// topics has the subscriptions and their times.
type topics struct {
	mu   sync.Mutex                      // guards subs
	subs map[string]map[string]time.Time // by topic and token: since when
}

// setSubscribed subscribes a token or unsubscribes it. It returns the time of the
// subscription, zero after an unsubscription.
func (t *topics) setSubscribed(topic, token string, add bool) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	subs := t.subs[topic]
	if !add {
		if delete(subs, token); len(subs) == 0 {
			delete(t.subs, topic)
		}
		return time.Time{}
	}
	if t.subs == nil {
		t.subs = map[string]map[string]time.Time{}
	}
	if subs == nil {
		subs = map[string]time.Time{}
		t.subs[topic] = subs
	}
	if _, there := subs[token]; !there {
		subs[token] = time.Now()
	}

	return subs[token]
}

func (t *topics) subscribedSince(topic, token string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.subs[topic][token]
	return at, ok
}

// Subscribers returns the tokens that are subscribed to a topic, sorted.
func (s *Server) Subscribers(topic string) []string {
	s.topics.mu.Lock()
	defer s.topics.mu.Unlock()
	out := make([]string, 0, len(s.topics.subs[topic]))
	for token := range s.topics.subs[topic] {
		out = append(out, token)
	}
	slices.Sort(out)
	return out
}

// Topics returns the number of subscribers of each topic.
func (s *Server) Topics() map[string]int {
	s.topics.mu.Lock()
	defer s.topics.mu.Unlock()
	out := make(map[string]int, len(s.topics.subs))
	for topic, subs := range s.topics.subs {
		out[topic] = len(subs)
	}
	return out
}

// topicHandler returns the handler of batchAdd or batchRemove of the Instance ID API,
// which the Admin SDKs call. The answer has a result for each token: empty, or with an
// error.
func (s *Server) topicHandler(add bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := s.policy.Load()
		if p.RequireAuth && !hasBearer(r) {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "Unauthorized"})
			return
		}
		var call struct {
			To     string   `json:"to"`
			Tokens []string `json:"registration_tokens"`
		}
		body, err := readBody(r)
		if err == nil {
			err = json.Unmarshal([]byte(body), &call)
		}
		topic, ok := strings.CutPrefix(call.To, "/topics/")
		switch {
		case err != nil, len(call.Tokens) == 0:
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "InvalidRequest"})
		case !ok || !validTopic(topic):
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "InvalidTopicName"})
		case len(call.Tokens) > maxTopicTokens:
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "TooManyTokens"})
		default:
			writeJSON(w, http.StatusOK, map[string]any{"results": s.changeSubscriptions(topic, call.Tokens, add)})
		}
	}
}

func (s *Server) changeSubscriptions(topic string, tokens []string, add bool) []map[string]string {
	results := make([]map[string]string, len(tokens))
	for i, token := range tokens {
		results[i] = map[string]string{}
		if why := s.topicError(token); why != "" {
			results[i]["error"] = why
			continue
		}
		s.topics.setSubscribed(topic, token, add)
	}
	return results
}

// topicError returns the error of the Instance ID API for a token, "" for none. Only
// rules that always apply count.
func (s *Server) topicError(token string) string {
	o, ruled := s.rules.applyLatest(token, func(r *rule) bool {
		return r.Times == 0 && (aboutToken[r.Outcome.Outcome] || r.Outcome.Outcome == OK)
	})
	switch {
	case ruled && o.Outcome == OK:
		return ""
	case strings.HasPrefix(o.Outcome, "UNREGISTERED"):
		return "NOT_FOUND"
	case ruled, !plausibleToken(token):
		return "INVALID_ARGUMENT"
	}
	return ""
}
