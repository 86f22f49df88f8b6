package deliver

import (
	"context"

	"carillon.example/shared/fcm"
)

// provePayload asks FCM whether it accepts a payload in a project, without any token. A topic
// may accept less than a token. For a payload that is too large for a topic FCM is asked about
// a copy with shorter texts. The size needs no proof: it was computed, and tokens accept it.
func (d *delivery) provePayload(ctx context.Context, project string, r rendering) fcm.Answer {
	proof := d.proveMessage(ctx, project, r.message)
	if !proof.Provisional {
		return proof
	}
	short := r.shortenedMessage()
	if short == nil {
		return proof
	}
	if p := d.proveMessage(ctx, project, short); !p.Provisional {
		return p
	}
	return proof
}

// proveMessage asks for a proof. If the answer does not come from FCM, also after the sender's
// own second try, it asks once more.
func (d *delivery) proveMessage(ctx context.Context, project string, m *fcm.Message) fcm.Answer {
	proof := d.Sender.ProvePayloadIn(ctx, project, m)
	if !isNotFromFCM(proof) || d.Sleep(ctx, notFromFCMWait) != nil {
		return proof
	}
	return d.Sender.ProvePayloadIn(ctx, project, m)
}
