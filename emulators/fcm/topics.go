package fcm

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxTopicTokens is how many tokens one topic call may name.
const maxTopicTokens = 1000

// topics holds who subscribed to what, and when.
type topics struct {
	mu   sync.Mutex
	subs map[string]map[string]time.Time // topic → token → since
}

// change subscribes a token, or takes it off, and returns since when.
func (t *topics) change(topic, token string, add bool) time.Time {
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

func (t *topics) since(topic, token string) (time.Time, bool) {
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

// manage answers the Instance ID API's batchAdd and batchRemove, which the
// Admin SDKs call: a result for each token, empty or with an error.
func (s *Server) manage(add bool) http.HandlerFunc {
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
			writeJSON(w, http.StatusOK, map[string]any{"results": s.manageAll(topic, call.Tokens, add)})
		}
	}
}

func (s *Server) manageAll(topic string, tokens []string, add bool) []map[string]string {
	results := make([]map[string]string, len(tokens))
	for i, token := range tokens {
		results[i] = map[string]string{}
		if why := s.topicError(token); why != "" {
			results[i]["error"] = why
			continue
		}
		s.topics.change(topic, token, add)
	}
	return results
}

// topicError is what the Instance ID API says of a token; only rules that
// always hold matter to it.
func (s *Server) topicError(token string) string {
	o, ruled := s.rules.take(token, func(r *rule) bool {
		return r.Times == 0 && (aboutToken[r.Outcome.Outcome] || r.Outcome.Outcome == OK)
	})
	switch {
	case ruled && o.Outcome == OK:
		return ""
	case strings.HasPrefix(o.Outcome, "UNREGISTERED"):
		return "NOT_FOUND"
	case ruled, !plausible(token):
		return "INVALID_ARGUMENT"
	}
	return ""
}
