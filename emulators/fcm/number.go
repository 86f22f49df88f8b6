package fcm

import "strings"

// scalar takes a number, true, false or null and returns its text.
func (s *scanner) scalar() string {
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

// isNumber follows the grammar of RFC 8259, section 6.
func isNumber(t string) bool {
	t = strings.TrimPrefix(t, "-")
	whole := digits(t)
	if whole == 0 || whole > 1 && t[0] == '0' {
		return false
	}

	t = t[whole:]
	if strings.HasPrefix(t, ".") {
		n := digits(t[1:])
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
	return t != "" && digits(t) == len(t)
}

func digits(t string) int {
	n := 0
	for n < len(t) && t[n] >= '0' && t[n] <= '9' {
		n++
	}
	return n
}
