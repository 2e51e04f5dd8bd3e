/* The one program of the example's image: says hello, and waits for its end. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

int main(void)
{
	struct sigaction action = { .sa_handler = end };

	sigaction(SIGTERM, &action, NULL);
	puts("hello from a pod that was baked in");
	fflush(stdout);
	while (!ended)
		pause();
	return 0;
}
