package fcm

import (
	_ "embed"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// rootHandler returns the handler of all paths: those of Google's APIs and those below
// /emulator/.
func (s *Server) rootHandler() http.Handler {
	admin := s.AdminHandler()
	add, remove := s.topicHandler(true), s.topicHandler(false)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if project, ok := sendPath(r.URL.Path); ok && r.Method == http.MethodPost {
			s.handleSend(w, r, project)
			return
		}
		sub, isSub := subscriptionPath(r.URL.Path)
		dataProject, app, isData := deliveryDataPath(r.URL.Path)
		switch {
		case isData && r.Method == http.MethodGet:
			s.handleDeliveryData(w, r, dataProject, app)
		case isSub:
			s.handleSubscription(w, r, sub)
		case strings.HasPrefix(r.URL.Path, "/emulator/"):
			admin.ServeHTTP(w, r)
		case r.Method == http.MethodPost && r.URL.Path == "/iid/v1:batchAdd":
			add(w, r)
		case r.Method == http.MethodPost && r.URL.Path == "/iid/v1:batchRemove":
			remove(w, r)
		case r.Method == http.MethodPost && r.URL.Path == tokenPath:
			handleToken(w, r)
		default:
			(&answer{code: 404, html: true, body: htmlPage(404, "The requested URL was not found on this server.")}).writeTo(w, 0)
		}
	})
}

// sendPath returns the project of a path /v1/projects/{project}/messages:send.
func sendPath(path string) (project string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v1/projects/")
	if !ok {
		return "", false
	}
	project, ok = strings.CutSuffix(rest, "/messages:send")
	return project, ok && project != "" && !strings.Contains(project, "/")
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header()["Content-Type"] = typeJSON
	writeBody(w, code, v)
}

func writeBody(w http.ResponseWriter, code int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // the client may have disconnected
}

// AdminHandler returns the handler of the paths below /emulator/. It can also be served on
// another port.
func (s *Server) AdminHandler() http.Handler {
	return adminPaths{
		"/emulator/outcomes": {"GET": s.getOutcomes, "PUT": s.putOutcomes, "DELETE": s.deleteOutcomes},
		"/emulator/phones": {
			"GET": listHandler(s.Phones), "PUT": putHandler(parsePhones, s.SetPhones, s.Phones), "DELETE": clearHandler(s.ClearPhones)},
		"/emulator/installations": {
			"GET": listHandler(s.Installations), "PUT": putHandler(parseInstallations, s.SetInstallations, s.Installations),
			"DELETE": clearHandler(s.ClearInstallations)},
		"/emulator/redirect.mjs": {"GET": getRedirect},
		"/emulator/settings":     {"GET": s.getSettings, "PUT": s.putSettings},
		"/emulator/messages":     {"GET": s.getMessages, "DELETE": s.deleteMessages},
		"/emulator/stats":        {"GET": s.getStats},
		"/emulator/topics":       {"GET": s.getTopics},
		"/emulator/events":       {"GET": s.getEvents},
	}
}

// An adminFunc is the handler of one path and method below /emulator/. Its error has all
// faults of the request.
type adminFunc func(http.ResponseWriter, *http.Request) error

// adminPaths has the handlers of the paths below /emulator/, by path and method.
type adminPaths map[string]map[string]adminFunc

func (p adminPaths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	methods := p[r.URL.Path]
	handle := methods[r.Method]
	switch {
	case methods == nil:
		writeProblem(w, http.StatusNotFound, faults{{"path", "must be one of " + strings.Join(slices.Sorted(maps.Keys(p)), ", ")}})
	case handle == nil:
		allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		w.Header().Set("Allow", allow)
		writeProblem(w, http.StatusMethodNotAllowed, faults{{"method", "must be one of " + allow}})
	default:
		if err := handle(w, r); err != nil {
			writeError(w, err)
		}
	}
}

// writeError answers with the error of an adminFunc: 422 for faults of the content, 400 for a
// body that cannot be read.
func writeError(w http.ResponseWriter, err error) {
	var f faults
	var syntax notJSONError
	switch {
	case errors.As(err, &f):
		writeProblem(w, http.StatusUnprocessableEntity, f)
	case errors.As(err, &syntax):
		writeProblem(w, http.StatusBadRequest, faults{{"body", syntax.Error()}})
	default:
		writeProblem(w, http.StatusBadRequest, faults{{"body", "cannot be read: " + err.Error()}})
	}
}

// writeProblem answers with every fault, in the format of RFC 9457.
func writeProblem(w http.ResponseWriter, code int, f faults) {
	w.Header()["Content-Type"] = []string{"application/problem+json"}
	writeBody(w, code, map[string]any{"title": http.StatusText(code), "status": code, "errors": []fault(f)})
}

func (s *Server) getOutcomes(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, outcomesJSON(s.CurrentOutcomes()))
	return nil
}

func (s *Server) putOutcomes(w http.ResponseWriter, r *http.Request) error {
	body, err := readAdminBody(r)
	if err != nil {
		return err
	}
	rules, err := parseOutcomes(body)
	if err != nil {
		return err
	}

	if err := s.SetOutcomes(rules...); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, outcomesJSON(s.CurrentOutcomes()))
	return nil
}

func (s *Server) deleteOutcomes(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	s.ClearOutcomes()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listHandler returns a handler that answers with a list.
func listHandler[T any](list func() []T) adminFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := checkParams(r); err != nil {
			return err
		}
		all := list()
		if all == nil {
			all = []T{}
		}
		writeJSON(w, http.StatusOK, all)
		return nil
	}
}

// putHandler returns a handler that reads a list, sets it, and answers with the list of all
// current values.
func putHandler[T any](parse func([]byte) ([]T, error), set func(...T) error, list func() []T) adminFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := readAdminBody(r)
		if err != nil {
			return err
		}
		all, err := parse(body)
		if err != nil {
			return err
		}
		if err := set(all...); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, list())
		return nil
	}
}

// clearHandler returns a handler that deletes all values.
func clearHandler(clear func()) adminFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := checkParams(r); err != nil {
			return err
		}
		clear()
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// redirectModule makes the Admin SDK of Node send to an emulator.
//
//go:embed node/redirect.mjs
var redirectModule []byte

// getRedirect answers with the module that makes the Admin SDK of Node send to this
// server, so that a client does not need the repository.
func getRedirect(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	w.Header()["Content-Type"] = []string{"text/javascript; charset=UTF-8"}
	_, _ = w.Write(redirectModule) // the client may have disconnected
	return nil
}

func (s *Server) getSettings(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, settingsJSON(s.Settings()))
	return nil
}

// putSettings changes the settings that the body names. The others stay.
func (s *Server) putSettings(w http.ResponseWriter, r *http.Request) error {
	body, err := readAdminBody(r)
	if err != nil {
		return err
	}
	settings, err := parseSettings(s.Settings(), body)
	if err != nil {
		return err
	}

	if err := s.Configure(settings); err != nil {
		return err
	}
	return s.getSettings(w, r)
}

// defaultPage is the number of messages in an answer if the request has no limit.
const defaultPage = 100

func (s *Server) getMessages(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r, "token", "mailing", "customer", "text", "before", "limit"); err != nil {
		return err
	}
	q := r.URL.Query()
	f := Filter{Token: q.Get("token"), Mailing: q.Get("mailing"), Customer: q.Get("customer"), Text: q.Get("text"), Limit: defaultPage}
	var wrong faults
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			wrong = append(wrong, fault{"query.limit", "must be a whole number of at least 1"})
		}
		f.Limit = n
	}
	if v := q.Get("before"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil || n < 1 {
			wrong = append(wrong, fault{"query.before", "must be the sequence of a message"})
		}
		f.Before = n
	}
	if len(wrong) > 0 {
		return wrong
	}

	writeJSON(w, http.StatusOK, map[string]any{"messages": s.Messages(f)})
	return nil
}

func (s *Server) deleteMessages(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	s.Clear()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) getStats(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.Stats())
	return nil
}

// getTopics answers with the number of subscribers of each topic, or with the tokens of
// one topic.
func (s *Server) getTopics(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r, "topic"); err != nil {
		return err
	}
	if topic := r.URL.Query().Get("topic"); topic != "" {
		writeJSON(w, http.StatusOK, map[string]any{"tokens": s.Subscribers(strings.TrimPrefix(topic, "/topics/"))})
		return nil
	}
	writeJSON(w, http.StatusOK, map[string]any{"topics": s.Topics()})
	return nil
}
