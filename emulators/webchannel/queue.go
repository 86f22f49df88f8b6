package webchannel

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A queue has the messages to a client that it has not confirmed yet. Their numbers grow by
// one. The zero value is empty, and its first message has the number 1: the answer that
// opens the channel is number 0.
type queue struct {
	messages []outgoing // the numbers up to last
	last     int64
	size     int // bytes of messages
}

// An outgoing message is written as it is sent: [number,[value]].
type outgoing struct {
	text  []byte
	units int // the length of text in UTF-16 code units, as JavaScript counts it
}

// add appends a message. value is JSON.
func (q *queue) add(value []byte) {
	q.last++
	text := strconv.AppendInt([]byte{'['}, q.last, 10)
	text = append(append(append(text, ",["...), value...), "]]"...)

	q.messages = append(q.messages, outgoing{text, unitsOf(text)})
	q.size += len(text)
}

// confirm removes the messages up to a number, which the client has. A number that was not
// given is not confirmed: confirm returns false.
func (q *queue) confirm(number int64) bool {
	if number < 0 || number > q.last {
		return false
	}
	n := max(0, int(number-q.first())+1)
	for i := range n {
		q.size -= len(q.messages[i].text)
		q.messages[i] = outgoing{} // free the text
	}
	q.messages = q.messages[n:]
	return true
}

// first returns the number of the first message in the queue.
func (q *queue) first() int64 { return q.last - int64(len(q.messages)) + 1 }

// after returns the messages after a number as one part of a response, and the number of the
// last of them: as many as fit in limit bytes, and at least one. Without messages the part is
// nil.
func (q *queue) after(number int64, limit int) (part []byte, last int64) {
	from := max(0, int(number-q.first())+1)
	if from >= len(q.messages) {
		return nil, number
	}
	to, size, units := from, 0, 1 // the bracket that opens the array
	for to < len(q.messages) && (to == from || size+len(q.messages[to].text) <= limit) {
		size += len(q.messages[to].text)
		units += q.messages[to].units + 1 // a comma, or the bracket that closes the array
		to++
	}

	part = append(strconv.AppendInt(make([]byte, 0, size+to-from+32), int64(units), 10), '\n')
	opening := byte('[')
	for _, m := range q.messages[from:to] {
		part = append(append(part, opening), m.text...)
		opening = ','
	}
	return append(part, ']'), q.first() + int64(to) - 1
}

// framed returns JSON as a part of a response: its length in UTF-16 code units, the end of
// the line, and itself.
func framed(text []byte) []byte {
	return append(append(strconv.AppendInt(nil, int64(unitsOf(text)), 10), '\n'), text...)
}

// unitsOf returns the length of a text in UTF-16 code units.
func unitsOf(text []byte) (n int) {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		n += utf16.RuneLen(r)
		text = text[size:]
	}
	return n
}
