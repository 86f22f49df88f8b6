package chaos

import (
	"encoding/json"
	"net/http"
	"reflect"
	"sync"

	"carillon.example/shared/push"
)

// An eventLog receives the topic push-events, as a system of the retailer does. It
// drops events that come twice.
type eventLog struct {
	mu           sync.Mutex // guards the fields below
	ids          map[string]bool
	duplicates   int
	completed    map[string]push.CompletedData // by mailing
	invalidated  map[invalidationKey]bool
	erased       map[string]bool          // by customer
	availability map[availabilityKey]bool // whether available, at that version
}

type (
	// An availabilityKey names an event customer.availability.changed.
	availabilityKey struct {
		customer string
		version  int64
	}
	// An invalidationKey names an event token.invalidated.
	invalidationKey struct{ customer, token, mailing string }
)

func newEventLog() *eventLog {
	return &eventLog{ids: map[string]bool{}, completed: map[string]push.CompletedData{}, invalidated: map[invalidationKey]bool{}, erased: map[string]bool{}, availability: map[availabilityKey]bool{}}
}

// ServeHTTP receives a push request of the topic. A body that is not an event gets 400.
func (e *eventLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var p struct{ Message struct{ Data []byte } }
	var event struct {
		ID, Type string
		Data     json.RawMessage
	}
	if json.NewDecoder(r.Body).Decode(&p) != nil || json.Unmarshal(p.Message.Data, &event) != nil || !e.record(event.ID, event.Type, event.Data) {
		http.Error(w, "the body is not an event", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// checkCompletedEvents compares the events of the mailings that have ended with the
// API's answers. The caller holds e.mu.
func (x *checker) checkCompletedEvents(e *eventLog) {
	for _, p := range x.endedMailings {
		event, ok := e.completed[p.id]
		if !ok {
			x.addFinding(brokenEvents, "mailing.completed of mailing %s (%s)", p.id, p.kind)
		} else if string(event.State) != p.final.State || !reflect.DeepEqual(event.Totals, p.final.Totals) {
			x.addFinding(brokenEvents, "mailing.completed of mailing %s has %+v, and the API has %s %+v", p.id, event, p.final.State, p.final.Totals)
		}
	}
}

// record stores an event, and reports whether its data could be decoded.
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
	case push.CustomerErased:
		var d push.ErasedData
		err = json.Unmarshal(data, &d)
		e.erased[d.Customer] = true
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
