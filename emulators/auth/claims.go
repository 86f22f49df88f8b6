package auth

import "encoding/json"

// maxClaims is the length of the longest custom claims of an account, in characters.
const maxClaims = 1000

// reservedClaims are the claims that no custom claim may have the name of.
var reservedClaims = []string{
	"iss", "aud", "sub", "iat", "exp", "nbf", "jti", "nonce", "azp", "acr", "amr", "cnf", "auth_time", "firebase", "at_hash", "c_hash",
}

// checkCustomAttributes checks custom claims in the form in which an account has them.
func checkCustomAttributes(text string) error {
	if len(text) > maxClaims {
		return badRequest("CLAIMS_TOO_LARGE")
	}
	var claims any
	if json.Unmarshal([]byte(text), &claims) != nil {
		return badRequest("INVALID_CLAIMS")
	}
	_, err := checkClaims(claims)
	return err
}

// checkClaims returns custom claims if they are an object without a reserved name.
func checkClaims(given any) (map[string]any, error) {
	claims, ok := given.(map[string]any)
	if !ok {
		return nil, badRequest("INVALID_CLAIMS")
	}
	for _, name := range reservedClaims {
		if _, has := claims[name]; has {
			return nil, badRequest("FORBIDDEN_CLAIM : " + name)
		}
	}
	return claims, nil
}
