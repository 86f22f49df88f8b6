package push

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// targetsV2 begins an encoded list of targets. Version 1 had no apps.
const targetsV2 = 2

// youngBit marks a young token in the byte of kind and platform.
const youngBit = 8

var kindCodes = []Kind{KindToken, KindFID}
var platformCodes = []Platform{"", Android, IOS, Web}

// codeOf returns the index of x in a list as a byte, 0 if the list does not have it.
func codeOf[T comparable](list []T, x T) byte {
	for i, y := range list {
		if x == y {
			return byte(i)
		}
	}
	return 0
}

// EncodeTargets encodes targets: a version byte, their count, and for each target one byte
// for kind, youth and platform, and then customer, token, app and attributes (as JSON; empty
// if there are none), each with its length before it. It fails if attributes cannot be
// encoded as JSON.
func EncodeTargets(ts []Target) ([]byte, error) {
	b := binary.AppendUvarint([]byte{targetsV2}, uint64(len(ts)))
	for i, t := range ts {
		var attrs []byte
		if len(t.Attributes) > 0 {
			var err error
			if attrs, err = json.Marshal(t.Attributes); err != nil {
				return nil, fmt.Errorf("encoding the attributes of target %d: %w", i, err)
			}
		}

		head := codeOf(kindCodes, t.Kind) | codeOf(platformCodes, t.Platform)<<4
		if t.Young {
			head |= youngBit
		}

		b = append(b, head)
		for _, s := range []string{t.Customer, t.Token, t.App, string(attrs)} {
			b = appendText(b, s)
		}
	}

	return b, nil
}

var errTargets = errors.New("the list of targets is damaged")

// DecodeTargets decodes targets that EncodeTargets has encoded. Its errors say that the bytes
// are damaged or of another version.
func DecodeTargets(b []byte) ([]Target, error) {
	if len(b) == 0 || b[0] != targetsV2 {
		return nil, fmt.Errorf("%w: unknown version", errTargets)
	}

	r := targetReader{b: b[1:]}
	n := r.readUvarint()
	if n > uint64(len(b)) {
		return nil, fmt.Errorf("%w: %d targets in %d bytes", errTargets, n, len(b))
	}

	out := make([]Target, 0, n)
	for range n {
		t, err := r.readTarget()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}

	if r.damaged || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: bytes are missing or left over", errTargets)
	}

	return out, nil
}

// A targetReader reads encoded targets. After a read beyond the end it is damaged, and
// further reads return nothing: so errors are checked once for each target.
type targetReader struct {
	b       []byte
	damaged bool
}

func (r *targetReader) readUvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.damaged, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *targetReader) takeBytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.damaged, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *targetReader) readTarget() (t Target, err error) {
	head := r.takeBytes(1)
	if r.damaged {
		return t, fmt.Errorf("%w: it ends too early", errTargets)
	}

	kind, platform := int(head[0]&(youngBit-1)), int(head[0]>>4)
	if kind >= len(kindCodes) || platform >= len(platformCodes) {
		return t, fmt.Errorf("%w: no such kind or platform", errTargets)
	}

	t.Kind, t.Platform, t.Young = kindCodes[kind], platformCodes[platform], head[0]&youngBit != 0
	t.Customer, t.Token, t.App = string(r.takeBytes(r.readUvarint())), string(r.takeBytes(r.readUvarint())), string(r.takeBytes(r.readUvarint()))
	if attrs := r.takeBytes(r.readUvarint()); len(attrs) > 0 {
		// Numbers stay as they are written: a float would change whole numbers above
		// 2⁵³, and numbers of loyalty cards are greater.
		d := json.NewDecoder(bytes.NewReader(attrs))
		d.UseNumber()
		if err := d.Decode(&t.Attributes); err != nil {
			return t, fmt.Errorf("%w: attributes: %w", errTargets, err)
		}
		if d.InputOffset() != int64(len(attrs)) {
			return t, fmt.Errorf("%w: something follows the attributes", errTargets)
		}
	}
	if r.damaged {
		return t, fmt.Errorf("%w: it ends too early", errTargets)
	}

	return t, nil
}

// invalidTokenSize is how many bytes an invalid token needs in its batch besides the
// customer's id: the token's id, code, status, time, and their names.
const invalidTokenSize = 200

// StoredSize returns how many bytes t takes in a batch at most: once as a target, and once
// more if its token is found invalid, as JSON, which writes no character of an id
// longer than twice its size.
func (t *Target) StoredSize() int {
	n := len(t.Customer) + len(t.Token) + len(t.App) + 10 + 2*len(t.Customer) + invalidTokenSize
	if len(t.Attributes) > 0 {
		if b, err := json.Marshal(t.Attributes); err == nil {
			n += len(b)
		}
	}
	return n
}
