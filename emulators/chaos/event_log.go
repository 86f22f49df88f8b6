package chaos

import (
	"encoding/json"
	"net/http"
	"reflect"
	"sync"

	"carillon.example/shared/push"
)

// events is what came out of the topic push-events: a system beside ours, that
// drops what comes twice.
type eventLog struct {
	mu           sync.Mutex
	ids          map[string]bool
	duplicates   int
	completed    map[string]push.CompletedData // by mailing
	invalidated  map[invalidationKey]bool
	availability map[availabilityKey]bool // whether available, at that version
}

type (
	availabilityKey struct {
		customer string
		version  int64
	}
	invalidationKey struct{ customer, token, mailing string }
)

func newEventLog() *eventLog {
	return &eventLog{ids: map[string]bool{}, completed: map[string]push.CompletedData{}, invalidated: map[invalidationKey]bool{}, availability: map[availabilityKey]bool{}}
}

// ServeHTTP takes a push of the topic.
func (e *eventLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var p struct{ Message struct{ Data []byte } }
	var event struct {
		ID, Type string
		Data     json.RawMessage
	}
	if json.NewDecoder(r.Body).Decode(&p) != nil || json.Unmarshal(p.Message.Data, &event) != nil || !e.record(event.ID, event.Type, event.Data) {
		http.Error(w, "this is no event", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// completion holds the events of mailings that have ended to what the API told
// of them. e is locked.
func (x *checker) checkCompletedEvents(e *eventLog) {
	for _, p := range x.endedMailings {
		told, ok := e.completed[p.id]
		if !ok {
			x.addFinding(brokenEvents, "mailing.completed of mailing %s (%s)", p.id, p.kind)
		} else if string(told.State) != p.final.State || !reflect.DeepEqual(told.Totals, p.final.Totals) {
			x.addFinding(brokenEvents, "mailing.completed tells mailing %s as %+v, and the API as %s %+v", p.id, told, p.final.State, p.final.Totals)
		}
	}
}

func (e *eventLog) record(id, kind string, data []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids[id] {
		e.duplicates++
		return true
	}

	var err error
	switch kind {
	case push.MailingCompleted:
		var d push.CompletedData
		err = json.Unmarshal(data, &d)
		e.completed[d.Mailing] = d
	case push.TokenInvalidated:
		var d push.InvalidatedData
		err = json.Unmarshal(data, &d)
		e.invalidated[invalidationKey{d.Customer, d.TokenID, d.Mailing}] = true
	case push.AvailabilityChanged:
		var d push.AvailabilityData
		err = json.Unmarshal(data, &d)
		e.availability[availabilityKey{d.Customer, d.Version}] = d.PushAvailable
	}
	if err == nil {
		e.ids[id] = true
	}

	return err == nil
}
