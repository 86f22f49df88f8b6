package deliver

import (
	"errors"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

var errNoBatch = errors.New("the message names no batch")

// replyFor returns whether a message of Pub/Sub is acknowledged or redelivered, by the error
// of its call. A batch that
// waits for a quota, an outage, a pause or a rate is stored and acknowledged, and tick
// publishes it again.
//
//	nothing left to do, or stored with notBefore   acknowledge
//	another call has the lease                     acknowledge
//	there is no such batch or mailing              acknowledge
//	the message names no batch                     redeliver; at last it becomes a dead letter
//	a dead letter that names no batch              acknowledge
//	anything else: our own fault                   redeliver
func replyFor(m queue.Message, err error) queue.Reply {
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), push.IsNotFound(err):
		return queue.Ack
	case errors.Is(err, errNoBatch) && m.DeadLetterOf() != "":
		return queue.Ack
	}
	return queue.Redeliver
}
