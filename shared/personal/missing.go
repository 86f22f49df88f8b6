package personal

// Missing returns those of the names, in their order, that a customer with these
// attributes does not have, or has as an empty text. A template renders such an attribute
// as nothing, unless it has a default for it or a condition on it.
func Missing(names []string, attributes map[string]any) []string {
	var missing []string
	for _, name := range names {
		if v, ok := attributes[name]; !ok || v == nil || v == "" {
			missing = append(missing, name)
		}
	}
	return missing
}
