package deliver

import (
	"errors"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

var errNoBatch = errors.New("the message names no batch")

// settle is the table from outcome to acknowledge or redeliver. Waiting is not
// failing: what waits for a quota, an outage, a pause or a rate is stored and
// acknowledged, and tick brings it back.
//
//	nothing left to do, or stored with notBefore   acknowledge
//	somebody else holds the batch                  acknowledge
//	there is no such batch or mailing              acknowledge
//	no batch in the message                        redeliver, to the dead letter in the end
//	the same from the dead letter                  acknowledge
//	anything else: our own fault                   redeliver
func settle(m queue.Message, err error) queue.Settlement {
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), push.IsNotFound(err):
		return queue.Ack
	case errors.Is(err, errNoBatch) && m.DeadLetterOf() != "":
		return queue.Ack
	}
	return queue.Redeliver
}
