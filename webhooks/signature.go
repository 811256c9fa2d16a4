package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/secret"
)

// MinSecret is the shortest webhook secret that is accepted, in bytes: as long
// as the key of the hash that it signs with.
const MinSecret = 32

// verifier knows the live secrets: one, and a second while it is rotated.
type verifier struct{ keys [][]byte }

// newVerifier refuses to be without a secret, for then anybody could sign, and
// to take a short one.
func newVerifier(secrets []secret.String) (verifier, error) {
	if len(secrets) == 0 {
		return verifier{}, errors.New("no webhook secret is configured")
	}
	v := verifier{}
	for i, one := range secrets {
		if len(one.Reveal()) < MinSecret {
			return verifier{}, fmt.Errorf("webhook secret %d of %d is shorter than %d bytes", i+1, len(secrets), MinSecret)
		}
		v.keys = append(v.keys, []byte(one.Reveal()))
	}
	return v, nil
}

// parseSignature reads X-Hub-Signature-256: "sha256=" and 64 hexadecimal digits.
// GitHub's older X-Hub-Signature is SHA-1 and never looked at.
func parseSignature(header string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(header, "sha256=")
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
		return nil, false
	}
	mac, err := hex.DecodeString(digits)
	return mac, err == nil
}

// verify says whether one of the secrets signed these bytes. It always tries
// each of them, so that its time tells nothing of which.
func (v verifier) verify(body, mac []byte) bool {
	valid := false
	for _, key := range v.keys {
		hash := hmac.New(sha256.New, key)
		hash.Write(body)
		valid = hmac.Equal(hash.Sum(nil), mac) || valid
	}
	return valid
}
