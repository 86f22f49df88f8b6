package fcm

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// subscription is one of the v1 API's own topic subscriptions, by which newer
// Admin SDKs (Node 14) replace the Instance ID calls:
//
//	POST   /v1/projects/P/registrations/TOKEN/topicSubscriptions?topicName=T
//	GET    /v1/projects/P/registrations/TOKEN/topicSubscriptions
//	GET, PATCH, DELETE  …/topicSubscriptions/T
type subscription struct {
	project, token, topic string
}

// subscriptionPath takes the parts of such a path; topic is empty in those of
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

func (sub subscription) name() string {
	return "projects/" + sub.project + "/registrations/" + sub.token + "/topicSubscriptions/" + sub.topic
}

func (sub subscription) json(since time.Time) map[string]string {
	return map[string]string{"name": sub.name(), "topicName": sub.topic, "createTime": since.UTC().Format(time.RFC3339Nano)}
}

// param reads a query parameter by either of its JSON names.
func param(r *http.Request, name string) string {
	q := r.URL.Query()
	if v := q.Get(name); v != "" {
		return v
	}
	return q.Get(camel(name))
}

// subscriptions answers all calls of a path.
func (s *Server) subscriptions(w http.ResponseWriter, r *http.Request, sub subscription) {
	if a := s.refuseSubscription(r, &sub); a != nil {
		a.write(w, 0)
		return
	}

	missingOK, _ := strconv.ParseBool(param(r, "allow_missing"))
	since, there := s.topics.since(sub.topic, sub.token)
	switch {
	case r.Method == http.MethodGet && sub.topic == "":
		s.listSubscriptions(w, sub)
	case r.Method == http.MethodPost && there:
		already := "Topic subscription already exists."
		(&answer{code: 409, body: faultBody(409, "ALREADY_EXISTS", already)}).write(w, 0)
	case !there && r.Method != http.MethodPost && !missingOK:
		(&answer{code: 404, body: faultBody(404, "NOT_FOUND", noEntity)}).write(w, 0)
	case r.Method == http.MethodDelete:
		s.topics.change(sub.topic, sub.token, false)
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		if !there {
			since = s.topics.change(sub.topic, sub.token, true)
		}
		writeJSON(w, http.StatusOK, sub.json(since))
	}
}

// refuseSubscription finds what is wrong with a call, and completes the topic
// of one that creates.
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
		sub.topic = param(r, "topic_name")
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
		if since, there := s.topics.since(topic, sub.token); there {
			all = append(all, sub.json(since))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"topicSubscriptions": all})
}
