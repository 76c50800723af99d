"""What every stage needs: errors, whole outputs, params.yaml, hashes and the time that it took."""
