package fcm

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A subscription is a topic subscription of the v1 API. Newer Admin SDKs (Node 14) use it
// instead of the Instance ID calls:
//
//	POST   /v1/projects/P/registrations/TOKEN/topicSubscriptions?topicName=T
//	GET    /v1/projects/P/registrations/TOKEN/topicSubscriptions
//	GET, PATCH, DELETE  …/topicSubscriptions/T
type subscription struct {
	project, token, topic string
}

// subscriptionPath returns the parts of the path of a subscription. topic is empty for
// the whole collection.
func subscriptionPath(path string) (sub subscription, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v1/projects/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 4 || len(parts) > 5 || parts[1] != "registrations" || parts[3] != "topicSubscriptions" {
		return sub, false
	}
	sub = subscription{project: parts[0], token: parts[2]}
	if len(parts) == 5 {
		sub.topic = parts[4]
	}
	return sub, sub.project != "" && sub.token != "" && (len(parts) == 4 || sub.topic != "")
}

func (sub subscription) resourceName() string {
	return "projects/" + sub.project + "/registrations/" + sub.token + "/topicSubscriptions/" + sub.topic
}

func (sub subscription) toJSON(since time.Time) map[string]string {
	return map[string]string{"name": sub.resourceName(), "topicName": sub.topic, "createTime": since.UTC().Format(time.RFC3339Nano)}
}

// queryParam returns a query parameter by its snake_case or camelCase name.
func queryParam(r *http.Request, name string) string {
	q := r.URL.Query()
	if v := q.Get(name); v != "" {
		return v
	}
	return q.Get(camelCase(name))
}

// handleSubscription answers all calls of a path of subscriptions.
func (s *Server) handleSubscription(w http.ResponseWriter, r *http.Request, sub subscription) {
	if a := s.refuseSubscription(r, &sub); a != nil {
		a.writeTo(w, 0)
		return
	}

	missingOK, _ := strconv.ParseBool(queryParam(r, "allow_missing"))
	since, there := s.topics.subscribedSince(sub.topic, sub.token)
	switch {
	case r.Method == http.MethodGet && sub.topic == "":
		s.listSubscriptions(w, sub)
	case r.Method == http.MethodPost && there:
		already := "Topic subscription already exists."
		(&answer{code: 409, body: faultBody(409, "ALREADY_EXISTS", already)}).writeTo(w, 0)
	case !there && r.Method != http.MethodPost && !missingOK:
		(&answer{code: 404, body: faultBody(404, "NOT_FOUND", noEntity)}).writeTo(w, 0)
	case r.Method == http.MethodDelete:
		s.topics.setSubscribed(sub.topic, sub.token, false)
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		if !there {
			since = s.topics.setSubscribed(sub.topic, sub.token, true)
		}
		writeJSON(w, http.StatusOK, sub.toJSON(since))
	}
}

// refuseSubscription returns the error answer for a call, nil for a valid one. It sets
// the topic of a call that creates a subscription.
func (s *Server) refuseSubscription(r *http.Request, sub *subscription) *answer {
	if s.policy.Load().RequireAuth && !hasBearer(r) {
		return answers["UNAUTHENTICATED"]
	}
	methods := []string{http.MethodGet, http.MethodPatch, http.MethodDelete}
	if sub.topic == "" {
		methods = []string{http.MethodGet, http.MethodPost}
	}
	if !slices.Contains(methods, r.Method) {
		return &answer{code: 404, html: true, body: htmlPage(404, "The requested URL was not found on this server.")}
	}
	if r.Method == http.MethodPost {
		sub.topic = queryParam(r, "topic_name")
	}
	if (r.Method == http.MethodPost || sub.topic != "") && !validTopic(sub.topic) {
		return answers["BAD_TOPIC"]
	}

	switch why := s.topicError(sub.token); why {
	case "":
		return nil
	case "NOT_FOUND":
		return answers["UNREGISTERED"]
	}

	return answers["INVALID_TOKEN"]
}

func (s *Server) listSubscriptions(w http.ResponseWriter, sub subscription) {
	all := []map[string]string{}
	for _, topic := range slices.Sorted(maps.Keys(s.Topics())) {
		sub.topic = topic
		if since, there := s.topics.subscribedSince(topic, sub.token); there {
			all = append(all, sub.toJSON(since))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"topicSubscriptions": all})
}
