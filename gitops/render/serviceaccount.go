package render

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AccountName is the ServiceAccount of every pod. It has no rights, and no pod
// gets its token.
const AccountName = "idp"

func serviceAccounts(e *environment) ([]object, error) {
	no := false
	account := &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   e.meta(AccountName),
		AutomountServiceAccountToken: &no,
	}
	if secret := e.Class.ImagePullSecret; secret != "" {
		account.ImagePullSecrets = []corev1.LocalObjectReference{{Name: secret}}
	}
	return []object{{"serviceaccount.yaml", account}}, nil
}
