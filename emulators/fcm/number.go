package fcm

import "strings"

// takeScalar consumes a number, true, false or null, and returns its text.
func (s *scanner) takeScalar() string {
	s.peek()
	start := s.pos
	for s.pos < len(s.text) && !strings.ContainsRune(" \t\r\n,]}:\"[{", rune(s.text[s.pos])) {
		s.pos++
	}

	text := s.text[start:s.pos]
	if text != "true" && text != "false" && text != "null" && !isNumber(text) {
		s.pos = start
		s.fail()
		return ""
	}
	return text
}

// isNumber reports whether a text is a number by the grammar of RFC 8259, section 6.
func isNumber(t string) bool {
	t = strings.TrimPrefix(t, "-")
	whole := countDigits(t)
	if whole == 0 || whole > 1 && t[0] == '0' {
		return false
	}

	t = t[whole:]
	if strings.HasPrefix(t, ".") {
		n := countDigits(t[1:])
		if n == 0 {
			return false
		}
		t = t[1+n:]
	}
	if t == "" {
		return true
	}
	if t[0] != 'e' && t[0] != 'E' {
		return false
	}

	t = t[1:]
	if t != "" && (t[0] == '+' || t[0] == '-') {
		t = t[1:]
	}
	return t != "" && countDigits(t) == len(t)
}

// countDigits returns the number of digits at the start of a text.
func countDigits(t string) int {
	n := 0
	for n < len(t) && t[n] >= '0' && t[n] <= '9' {
		n++
	}
	return n
}
