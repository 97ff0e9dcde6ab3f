/* The ten-line hello world: the SHA-256 of a word, wherever that is computed fastest. */
#include <stdio.h>
#include <string.h>

#include <yoke/yoke.h>

int main(void)
{
	yoke_session *session;
	void *text, *digest;
	if (yoke_open(&session, NULL) != 0) /* starts a private daemon if none runs */
		return fprintf(stderr, "%s\n", yoke_error(NULL)), 1;
	if (yoke_alloc(session, 5, &text) != 0 || yoke_alloc(session, 32, &digest) != 0)
		return fprintf(stderr, "%s\n", yoke_error(session)), 1;
	memcpy(text, "hello", 5);
	struct yoke_call call = {
		.service = YOKE_SERVICE_SHA256, .in = text, .in_length = 5, .out = digest, .out_length = 32};
	if (yoke_call_sync(session, &call, NULL) != 0)
		return fprintf(stderr, "%s\n", yoke_error(session)), 1;
	for (int k = 0; k < 32; k++)
		printf("%02x", ((unsigned char *)digest)[k]);
	printf("\n");
	yoke_close(session);
	return 0;
}
