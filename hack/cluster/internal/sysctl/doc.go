// Package sysctl raises the machine's settings that a cluster needs, and puts
// back what was there before, also what the kubelets changed.
package sysctl
